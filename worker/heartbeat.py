"""Beats while a step runs: shows that its owner lives, and extends the lock."""

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
    """Beat in a thread until the block ends; the event is set when the claim was lost."""
    done, lost = threading.Event(), threading.Event()
    thread = threading.Thread(target=_beat, args=(services, claim, done, lost), name="heart", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join(timeout=services.settings.heartbeat_seconds)


def hold_lock(services: Services, claim: Claim) -> None:
    """Take or extend the instance's lock for this deletion; losing it stops no step, PostgreSQL is the guard."""
    try:
        lock.take(services.redis, claim.instance_id, claim.deletion_id, services.settings.stale_seconds)
    except RedisError as error:
        log.warning("lock not extended", error=type(error).__name__)


def _beat(services: Services, claim: Claim, done: threading.Event, lost: threading.Event) -> None:
    while not done.wait(services.settings.heartbeat_seconds):
        try:
            claims.send_heartbeat(services.own, claim)
        except LostClaim:
            if not done.is_set():  # after the end of the step the claim is rightly gone
                lost.set()
            return
        except Exception as error:  # whatever it is, the next beat may work, and silence would cost the claim
            log.warning("heartbeat missed", error=type(error).__name__)
            continue
        hold_lock(services, claim)
