"""Headers of a deletion's messages: the id and the trace of the request that ordered it."""

import json
from collections.abc import Mapping
from uuid import UUID

import structlog
from redis import Redis
from redis.exceptions import RedisError

from shared import logs, tracing

log = logs.get(__name__)
REQUEST_ID = "request_id"
_KEEP_SECONDS = 86_400  # as long as a deletion waits for an unreachable store


def for_deletion(redis: Redis, deletion_id: UUID) -> dict[str, str]:
    """Headers for a message: of the present request or message, else (reconciler) of the deletion's last message."""
    current = _current()
    key = f"lethe:trail:{deletion_id}"
    try:
        if current:
            redis.set(key, json.dumps(current), ex=_KEEP_SECONDS)
            return current
        return _read(redis.get(key))
    except RedisError as error:  # only log lines are then harder to find
        log.warning("message headers not stored", error=type(error).__name__)
        return current


def received(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Lethe's headers among all headers of a message."""
    return {name: headers[name] for name in (REQUEST_ID, *tracing.HEADERS) if name in headers} if headers else {}


def _current() -> dict[str, str]:
    request_id = structlog.contextvars.get_contextvars().get(REQUEST_ID)
    return {**({REQUEST_ID: str(request_id)} if request_id else {}), **tracing.headers()}


def _read(stored: object) -> dict[str, str]:
    found: dict[str, str] = json.loads(stored) if isinstance(stored, bytes) else {}
    return found
