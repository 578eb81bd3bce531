"""The heartbeat of a running step: keeps its claim and extends the instance's lock."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from shared import logs
from shared.deletions import claims, lock
from shared.deletions.claims import Claim
from shared.errors import LostClaim
from shared.services import Services

log = logs.get(__name__)


@contextmanager
def beating(services: Services, claim: Claim) -> Iterator[threading.Event]:
    """Send heartbeats in a thread until the block ends; the event is set when the claim is lost."""
    done, lost = threading.Event(), threading.Event()
    thread = threading.Thread(target=_beat, args=(services, claim, done, lost), name="heart", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join(timeout=services.settings.heartbeat_seconds)


def hold_lock(services: Services, claim: Claim) -> None:
    """Take or extend the instance's Redis lock; a step goes on without it, because PostgreSQL is the guard."""
    try:
        lock.take(services.redis, claim.instance_id, claim.deletion_id, services.settings.stale_seconds)
    except RedisError as error:
        log.warning("lock not extended", error=type(error).__name__)


def _beat(services: Services, claim: Claim, done: threading.Event, lost: threading.Event) -> None:
    while not done.wait(services.settings.heartbeat_seconds):
        try:
            claims.send_heartbeat(services.own, claim)
        except LostClaim:
            if not done.is_set():  # after its end, a step has no claim any more
                lost.set()
            return
        except Exception as error:  # of any kind: the next one may succeed, and without heartbeats the claim is lost
            log.warning("heartbeat missed", error=type(error).__name__)
            continue
        hold_lock(services, claim)
