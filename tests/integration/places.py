"""Every place where Lethe leaves something, read for tests that look for what must not be there."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from redis import Redis

BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
HEX = re.compile(rb"[0-9a-f]{16,}")


def decoded(found: bytes) -> bytes:
    """What is found, and what it would be decoded: Celery's bodies, binary columns and sealed values are encoded."""
    parts = [found]
    for pattern, decode in ((HEX, binascii.unhexlify), (BASE64, base64.urlsafe_b64decode), (BASE64, base64.b64decode)):
        for match in pattern.findall(found):
            try:
                parts.append(decode(match))
            except binascii.Error:  # looked like it, and was something else
                continue
    return b"\n".join(parts)


def redis_values(redis: Redis) -> Iterator[tuple[str, bytes]]:
    """Every key of Lethe's Redis with its value, Celery's queues among them."""
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"string": redis.get,
        b"hash": redis.hgetall,
        b"set": redis.smembers,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"zset": lambda key: redis.zrange(key, 0, -1),
    }
    for key in redis.scan_iter(count=1000):
        kind = redis.type(key)
        yield f"Redis {key!r}", key + repr(read[kind](key) if kind in read else None).encode()


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below, by its path and with what is in it."""
    for path in folder.rglob("*"):
        where = str(path.relative_to(folder))
        yield where, where.encode() + (path.read_bytes() if path.is_file() else b"")
