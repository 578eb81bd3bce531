"""Publishes postponed and scheduled deletions at their time: a thread in each process of a worker."""

import threading
import time
from multiprocessing.sharedctypes import RawValue

from shared import logs
from shared.deletions import lifecycle, republishing
from shared.services import Services
from tasks import publishing

log = logs.get(__name__)
LOOK_SECONDS = 1.0
_LOCKED_SECONDS = 0.05  # when another process takes the due deletions
_UNREACHABLE_SECONDS = 5.0  # when the own database did not answer
# When the next query is due, by the host's clock; made before the fork, so that the processes of a worker take turns.
# Without a lock: two queries at once do no harm.
_next_look = RawValue("d", 0.0)


class PauseTimer:
    """Queries once a second which deletions will be due within the next second, and wakes up for those.

    Celery's countdown is not used. With Redis a worker takes such a message at once and keeps it from other workers,
    and it is lost for minutes when that worker dies. RabbitMQ's quorum queues only know whole seconds.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._woken, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="due", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; deletions that it has taken are published first."""
        self._stopped.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def wake(self) -> None:
        """Query now: a deletion was postponed, perhaps for less than the time to the next query."""
        self._woken.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            due_in = self._look()
            if due_in is None:
                self._wait_for_turn()
            else:
                self._woken.wait(due_in)
            self._woken.clear()

    def _wait_for_turn(self) -> None:
        while (seconds := _next_look.value - time.monotonic()) > 0:
            if self._woken.wait(seconds):
                return

    def _look(self) -> float | None:
        """Publish what is due; returns the seconds to the next due deletion, None if that is after the next query."""
        _next_look.value = time.monotonic() + LOOK_SECONDS
        try:
            due_in = republishing.next_due_in_seconds(self._services.own, within_seconds=LOOK_SECONDS)
            if due_in is None or due_in > 0:
                return due_in
            return 0 if self._publish() else _LOCKED_SECONDS
        except Exception as error:  # of any kind: a later query may succeed
            log.warning("due deletions not read", error=type(error).__name__)
            _next_look.value = time.monotonic() + _UNREACHABLE_SECONDS
            return None

    def _publish(self) -> int:
        settings = self._services.settings
        due = [
            *lifecycle.queue_scheduled(self._services.own, republish_seconds=settings.nudge_seconds),
            *republishing.take_postponed(
                self._services.own,
                republish_seconds=settings.nudge_seconds,
                max_pause_seconds=settings.max_pause_seconds,
            ),
        ]
        unpublished = sum(not publishing.publish(self._services, message) for message in due)
        if due:
            log.info("deletions due", due=len(due), unpublished=unpublished)
        return len(due)
