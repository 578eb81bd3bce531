"""Tries every command that the steps send to the cache, the writing ones on keys that do not exist."""

from collections.abc import Iterator
from uuid import uuid4

from redis.exceptions import MovedError, NoPermissionError, RedisError, ResponseError

from shared.errors import RequirementNotMet
from shared.evolution.cache.cache import Cache, Candidates
from shared.evolution.cache.keys import LOST_MESSAGES
from shared.faults.redis import translate_errors

_SECTION = "redis"
_SLOTS_TRIED = 16  # keys of as many hash slots: a node of a cluster says that another one has them


def rehearse(cache: Cache) -> None:
    """Raise RequirementNotMet, naming the command that the server will not run for Lethe's user.

    A server that cannot write now (a replica, a full disk) says so even of a key that does not exist.
    """
    commands = list(_commands(cache.prefix))
    with translate_errors("the cache"), cache.redis.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
        answers = pipeline.execute(raise_on_error=False)
    for command, answer in zip(commands, answers, strict=True):
        if isinstance(answer, RedisError):
            with translate_errors("the cache"):
                raise _explained(cache, command[0], answer) from answer
    cache.scan_page(0, Candidates(set(), set()), size=1)


def _commands(prefix: str) -> Iterator[tuple[str, *tuple[object, ...]]]:
    missing = f"{prefix}:instance:lethe-rehearsal-{uuid4()}"
    lost = f"{prefix}:{LOST_MESSAGES}"
    yield ("DBSIZE",)
    yield ("SCAN", 0, "COUNT", 1)
    for number in range(_SLOTS_TRIED):
        yield ("EXISTS", f"{missing}-{number}")
    yield ("HEXISTS", lost, missing)
    yield ("HDEL", lost, missing)
    yield ("UNLINK", missing)


def _explained(cache: Cache, command: str, error: RedisError) -> Exception:
    words = str(error)
    if isinstance(error, NoPermissionError):
        allow = f"give the user ~{cache.prefix}:* and the commands that are listed there"
        return RequirementNotMet(f"the cache does not let Lethe's user run {command} ({words})", allow, _SECTION)
    if isinstance(error, MovedError):
        other = "one node holds a part of the keys only; give Evolution a cache that is no cluster"
        return RequirementNotMet("the cache is a Redis Cluster", other, _SECTION)
    if isinstance(error, ResponseError) and words.lower().startswith("unknown command"):
        return RequirementNotMet(f"the cache does not know the command {command}", "enable it", _SECTION)
    return error
