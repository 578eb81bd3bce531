"""Lets API calls wait for a deletion's end. Redis notifies them; when it does not, they poll the own database."""

import time
from collections.abc import Callable
from uuid import UUID

from redis import Redis
from redis.exceptions import RedisError

_LONGEST_POLL_SECONDS = 1.0


def _channel(deletion_id: UUID) -> str:
    return f"lethe:ended:{deletion_id}"


def notify(redis: Redis, deletion_id: UUID) -> None:
    """Notify the waiting calls that the deletion has succeeded, failed or was cancelled."""
    redis.publish(_channel(deletion_id), b"1")


def wait_until(redis: Redis, deletion_id: UUID, ended: Callable[[], bool], seconds: float) -> bool:
    """Wait until ended() is true, at most for the seconds. Returns ended(). Without Redis it polls each second."""
    deadline = time.monotonic() + seconds
    try:
        with redis.pubsub(ignore_subscribe_messages=True) as listener:  # type: ignore[no-untyped-call]
            listener.subscribe(_channel(deletion_id))  # before the first ended(): no notification is missed
            return _wait(lambda pause: _listen(listener, pause), ended, deadline)
    except RedisError:
        return _wait(time.sleep, ended, deadline)


def _listen(listener: object, pause_seconds: float) -> None:
    end = time.monotonic() + pause_seconds
    while (left := end - time.monotonic()) > 0:
        if listener.get_message(timeout=left) is not None:  # type: ignore[attr-defined]
            return


def _wait(rest: Callable[[float], None], ended: Callable[[], bool], deadline: float) -> bool:
    pause = 0.25  # most deletions end before, and notify
    while not ended():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        rest(min(pause, left))
        pause = min(pause * 2, _LONGEST_POLL_SECONDS)
    return True
