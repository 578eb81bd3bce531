"""Removes page after page with a few calls in flight, while the next page is listed."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from shared.errors import LetheError, RefusesForNow
from shared.evolution.media.s3_objects import Entry, Removal

MOST_IN_BULK, MOST_SINGLE = 4, 16  # calls in flight
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 1.6
_MOST_REFUSALS = 5  # in a row, some 3 seconds; then the step itself waits


class InFlight:
    """Calls in flight. A busy server halves their number; each full round without a refusal adds one."""

    def __init__(self, remove: Callable[[Sequence[Entry]], Removal], keys_per_call: Callable[[], int]) -> None:
        self._remove = remove
        self._keys_per_call = keys_per_call
        self._limit = float(MOST_SINGLE)
        self._left: deque[Sequence[Entry]] = deque()  # listed, and not in flight
        self._flying: dict[Future[Removal], Sequence[Entry]] = {}
        self._failure: LetheError | None = None
        self._refusals = 0
        self._not_before = 0.0  # time.monotonic()

    def run(self, pages: Iterator[Sequence[Entry]], stop: Callable[[], bool]) -> Iterator[int]:
        """Remove all that the pages list; yields the number of removed objects, now and then.

        After stop(), and before it raises, it begins no further call, and counts what those in flight remove.
        """
        pool = ThreadPoolExecutor(MOST_SINGLE, thread_name_prefix="s3")
        try:
            while not self._failure:
                began = self._begin(pool, pages)
                if not (began or self._flying or self._left):
                    break
                removed = self._land(wait_for_one=not began)
                if removed:
                    yield removed
                if removed and stop():
                    break
            if rest := self._land_all():
                yield rest
            if self._failure:
                raise self._failure
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # a call that hangs ends by its own timeout

    def _begin(self, pool: ThreadPoolExecutor, pages: Iterator[Sequence[Entry]]) -> bool:
        """Begin one call, unless enough are in flight, the server needs a pause, or nothing is left."""
        most = MOST_IN_BULK if self._keys_per_call() > 1 else MOST_SINGLE
        if len(self._flying) >= max(1, min(int(self._limit), most)) or time.monotonic() < self._not_before:
            return False
        try:
            batch = self._next_batch(pages)
        except LetheError as error:
            self._failure = error
            return False
        if batch:
            self._flying[pool.submit(self._remove, batch)] = batch
        return bool(batch)

    def _next_batch(self, pages: Iterator[Sequence[Entry]]) -> Sequence[Entry]:
        page, most = self._left.popleft() if self._left else next(pages, ()), self._keys_per_call()
        if len(page) > most:
            self._left.appendleft(page[most:])
        return page[:most]

    def _land(self, *, wait_for_one: bool) -> int:
        """Count what has ended; wait for one call, or for the end of a pause, if told to."""
        pause = max(0.0, self._not_before - time.monotonic()) if self._left else None
        if wait_for_one and not self._flying:
            time.sleep(pause or 0)  # the server asked for it
        ended, _ = wait(self._flying, pause or None if wait_for_one else 0, FIRST_COMPLETED)
        return sum(self._count(future) for future in ended)

    def _land_all(self) -> int:
        """Wait for all calls that are in flight."""
        return sum(self._count(future) for future in wait(self._flying).done)

    def _count(self, future: Future[Removal]) -> int:
        batch = self._flying.pop(future)
        try:
            removal = future.result()
        except LetheError as error:
            removal = Removal(0, batch, error)
        if not removal.left:
            self._refusals = 0
            self._limit = min(MOST_SINGLE, self._limit + 1 / self._limit)
            return removal.removed
        self._left.appendleft(removal.left)
        if isinstance(removal.failure, RefusesForNow):
            self._slow_down(removal.failure)
        else:
            self._failure = self._failure or removal.failure
        return removal.removed

    def _slow_down(self, refusal: RefusesForNow) -> None:
        now = time.monotonic()
        if now < self._not_before:  # begun before the pause
            return
        self._refusals += 1
        if self._refusals > _MOST_REFUSALS:
            self._failure = self._failure or refusal
        self._limit = max(1.0, min(self._limit, len(self._flying) + 1) / 2)
        self._not_before = now + min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (self._refusals - 1))
