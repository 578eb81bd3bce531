"""Erases an instance's rows: few ones together, many in batches that take about as long as they should."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from typing import Protocol

from shared.errors import TransientError, Unreachable
from shared.evolution.rows import sizes as row_sizes
from shared.evolution.rows import statements
from shared.evolution.rows.counting import guarded
from shared.evolution.rows.replicas import Brake
from shared.evolution.rows.schema import Owned
from shared.evolution.rows.sizes import Size
from shared.evolution.rows.tenant import Tenant
from shared.evolution.rows.throttle import Throttle

_FIRST_BATCH = 500
_FIRST_PAGES = 1_000
_LARGEST_BATCH = 50_000
_SECONDS_A_ROW = 1e-5  # a message, with the two searches by index that it costs, takes 8e-6
_READING_SECONDS = 0.001  # a row for which so much is read costs next to nothing to write
_STATEMENT_SECONDS = 10


class Bookmarks(Protocol):
    """Where the walk through a table goes on in the next slice."""

    def page_of(self, table: str) -> int:
        """The first page that was not walked."""

    def keep_page(self, table: str, page: int) -> None:
        """Keep it for the next slice."""


@dataclass
class Pace:
    """A batch size that follows the time a batch takes, so that no statement holds its locks for long."""

    batch_seconds: float
    size: int = _FIRST_BATCH
    rows_a_page: float = 0  # where the size is one of pages, all rows of which may be the instance's
    _seconds_a_row: float = _SECONDS_A_ROW

    def learn(self, took_seconds: float, rows: int = 0) -> None:
        """Aim at batch_seconds; at most halve or double at once, for one measurement proves little."""
        factor = min(2.0, max(0.5, self.batch_seconds / max(took_seconds, 0.001)))
        largest = float(_LARGEST_BATCH)
        if self.rows_a_page:  # pages without the instance's rows say nothing about the next ones, which may be full
            if rows > self.size * self.rows_a_page / 8:
                self._seconds_a_row = took_seconds / rows
            largest = min(largest, self.batch_seconds / self._seconds_a_row / self.rows_a_page)
        self.size = max(1, int(min(self.size * factor, largest)))

    def shrink(self) -> bool:
        """A batch ran out of its time and was rolled back: try far fewer; False when there is nothing to shrink."""
        before, self.size = self.size, max(1, self.size // 10)
        return before > 1


@dataclass(frozen=True)
class RowEraser:
    """Erases the rows of one instance.

    report gets the rows of each batch once it is committed; stop is asked between batches; throttle says how long a
    batch may take, and on how many connections; pages keeps the place in a table that has to be walked; brake holds
    it back while replicas lag.
    """

    tenant: Tenant
    instance_id: str
    throttle: Callable[[], Throttle]
    report: Callable[[dict[str, int]], None]
    stop: Callable[[], bool]
    pages: Bookmarks
    brake: Brake

    def erase(self, tables: Sequence[Owned], planned: Mapping[str, int] | None = None) -> bool:
        """Erase the instance's rows of these tables, in this order; False when stopped before the end."""
        sizes = row_sizes.look(self.tenant, tables, self.instance_id, planned)
        left = [table for table in tables if sizes[table.table].rows != 0]
        seconds = self.throttle().batch_seconds
        for few, group in groupby(left, key=lambda table: sizes[table.table].fits(seconds)):
            if self._is_over():
                return False
            erase = self._together if few else self._one_by_one
            if not erase([(table, sizes[table.table]) for table in group]):
                return False
        return True

    def _is_over(self) -> bool:
        """Whether to stop here; asked before each batch, after waiting for what lags."""
        self.brake.wait(self.stop)
        return self.stop()

    def _together(self, sized: Sequence[tuple[Owned, Size]]) -> bool:
        """Few rows of several tables, in one transaction; in batches after all where there are too many."""
        tables = [owned for owned, _ in sized]
        deletes = [f"DELETE FROM {self.tenant.table(owned.table)} WHERE {guarded(owned)}" for owned in tables]
        try:
            rows = self.tenant.run_together(deletes, {"id": self.instance_id}, statement_seconds=_STATEMENT_SECONDS)
        except Unreachable:
            raise
        except TransientError:  # what was planned can be an estimate, or old
            return self._one_by_one(sized)
        self.report({owned.table: number for owned, number in zip(tables, rows, strict=True) if number})
        return True

    def _one_by_one(self, sized: Sequence[tuple[Owned, Size]]) -> bool:
        return all(
            self._by_page(owned, size) if size.rows is None or size.is_dense else self._by_search(owned, size)
            for owned, size in sized
        )

    def _by_search(self, owned: Owned, size: Size) -> bool:
        """Each connection takes the rows whose place hashes to its number, so that none waits for another's."""
        pace = self._pace(size, _FIRST_BATCH)
        while not self._is_over():
            parts = self._connections(size)
            mine = " AND (hashtid(ctid) & 2147483647) % :parts = :part" if parts > 1 else ""
            delete = statements.delete_some(self.tenant, owned, mine)
            asked = pace.size
            windows: list[dict[str, object]] = [
                {"size": asked, **({"parts": parts, "part": part} if mine else {})} for part in range(parts)
            ]
            rows = self._round(owned, delete, windows, pace)
            if rows is not None and all(number < asked for number in rows):
                return True  # a row that was changed meanwhile goes with its Instance row, or when confirm looks again
        return False

    def _by_page(self, owned: Owned, size: Size) -> bool:
        """Where every search would read most of the table, for want of an index or of other rows: walk it once."""
        table, predicate = self.tenant.table(owned.table), guarded(owned)
        delete = f"DELETE FROM {table} WHERE ctid >= CAST(:first AS tid) AND ctid < CAST(:after AS tid) AND {predicate}"
        pace = self._pace(size, _FIRST_PAGES)
        if size.is_dense:
            pace = Pace(pace.batch_seconds, max(1, int(_FIRST_BATCH / size.rows_a_page)), size.rows_a_page)
        page, pages = self.pages.page_of(owned.table), self.tenant.pages(owned.table)
        while page < pages:
            if self._is_over():
                self.pages.keep_page(owned.table, page)
                return False
            bounds = [page + pace.size * at for at in range(self._connections(size) + 1)]
            windows: list[dict[str, object]] = [
                {"first": f"({first},0)", "after": f"({after},0)"} for first, after in pairwise(bounds)
            ]
            try:
                rows = self._round(owned, delete, windows, pace)
            except Unreachable:
                raise
            except TransientError:  # even one page takes too long: row by row, if need be
                return self._by_search(owned, size)
            if rows is not None:
                page = bounds[-1]
        if self.pages.page_of(owned.table):
            self.pages.keep_page(owned.table, 0)  # should it have to be walked again
        return True

    def _pace(self, size: Size, first: int) -> Pace:
        """Where PostgreSQL searches large tables for each row, it begins with what should fit."""
        seconds = self.throttle().batch_seconds
        fitting = int(seconds / size.seconds_a_row) if size.seconds_a_row else first
        return Pace(seconds, max(1, min(first, fitting)))

    def _connections(self, size: Size) -> int:
        """Two by default where PostgreSQL mostly reads; two that write leave a neighbour neither core nor disk."""
        wanted = self.throttle().connections or (2 if size.seconds_a_row >= _READING_SECONDS else 1)
        return wanted if self.tenant.can_hash_places() else 1

    def _round(self, owned: Owned, delete: str, windows: Sequence[dict[str, object]], pace: Pace) -> list[int] | None:
        """One DELETE for each window, at once; None when one took too long and smaller ones are to be tried."""
        throttle = self.throttle()
        pace.batch_seconds = throttle.batch_seconds
        time.sleep(throttle.pause_seconds)
        began = time.monotonic()
        outcomes = list(self._at_once([partial(self._batch, delete, window) for window in windows]))
        rows = [outcome for outcome in outcomes if isinstance(outcome, int)]
        if sum(rows):
            self.report({owned.table: sum(rows)})
        failures = [outcome for outcome in outcomes if isinstance(outcome, TransientError)]
        if not failures:
            pace.learn(time.monotonic() - began, sum(rows) // len(rows))
            return rows
        # Where each row makes PostgreSQL search a large table for what refers to it, even few rows take long.
        away = [failure for failure in failures if isinstance(failure, Unreachable)]
        if away or not pace.shrink():
            raise (away or failures)[0]
        return None

    def _at_once(self, batches: Sequence[Callable[[], int | TransientError]]) -> Iterator[int | TransientError]:
        if len(batches) == 1:
            return iter([batches[0]()])
        with ThreadPoolExecutor(len(batches)) as pool:
            return pool.map(lambda batch: batch(), batches)

    def _batch(self, delete: str, window: dict[str, object]) -> int | TransientError:
        values = {"id": self.instance_id, **window}
        try:
            (rows,) = self.tenant.run_together([delete], values, statement_seconds=_STATEMENT_SECONDS)
        except TransientError as error:
            return error
        return rows
