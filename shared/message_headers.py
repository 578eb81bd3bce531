"""What travels with a deletion's messages: the id and the trace of the request that asked for it."""

import json
from collections.abc import Mapping
from uuid import UUID

import structlog
from redis import Redis
from redis.exceptions import RedisError

from shared import logs, tracing

log = logs.get(__name__)
REQUEST_ID = "request_id"
_KEEP_SECONDS = 86_400  # as long as a deletion waits for what is away


def for_deletion(redis: Redis, deletion_id: UUID) -> dict[str, str]:
    """For a message: of the request or message at hand, else (the reconciler's) as the last one had them."""
    here = _here()
    key = f"lethe:trail:{deletion_id}"
    try:
        if here:
            redis.set(key, json.dumps(here), ex=_KEEP_SECONDS)
            return here
        return _read(redis.get(key))
    except RedisError as error:  # only the lines of a log would be harder to find
        log.warning("trail not kept", error=type(error).__name__)
        return here


def received(headers: Mapping[str, str] | None) -> dict[str, str]:
    """What a message brought along, of all its headers."""
    return {name: headers[name] for name in (REQUEST_ID, *tracing.HEADERS) if name in headers} if headers else {}


def _here() -> dict[str, str]:
    request_id = structlog.contextvars.get_contextvars().get(REQUEST_ID)
    return {**({REQUEST_ID: str(request_id)} if request_id else {}), **tracing.headers()}


def _read(kept: object) -> dict[str, str]:
    found: dict[str, str] = json.loads(kept) if isinstance(kept, bytes) else {}
    return found
