"""Erases an instance's rows: few ones together, many in batches that take about as long as they should."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from threading import Lock

from shared.errors import TransientError, Unreachable
from shared.evolution.rows import batch, counting, triggers
from shared.evolution.rows.batch import Altered, Referenced
from shared.evolution.rows.counting import LARGE_PAGES, Size, guarded
from shared.evolution.rows.replicas import Brake
from shared.evolution.rows.schema import Owned
from shared.evolution.rows.tenant import Tenant
from shared.evolution.rows.throttle import Throttle
from shared.evolution.rows.triggers import Freed

_FIRST_BATCH = 500
_SECONDS_A_ROW = 2e-5  # without triggers, at most: a message takes 4e-6 to 9e-6
_LARGEST_BATCH = 50_000
_READING_SECONDS = 0.001  # a row for which PostgreSQL reads so much costs next to nothing to write
_HALVES = (" AND hashtext(CAST(ctid AS text)) % 2 = 0", " AND hashtext(CAST(ctid AS text)) % 2 <> 0")
_STATEMENT_SECONDS = 10
_WRITTEN_MEANWHILE = "for some rows: others that refer to them were written meanwhile"


@dataclass
class Pace:
    """A batch size that follows the time its rows take, so that no statement holds its locks for long."""

    size: int

    def learn(self, took_seconds: float, batch_seconds: float) -> None:
        """Aim at batch_seconds; at most halve or double at once, for one measurement proves little."""
        factor = min(2.0, max(0.5, batch_seconds / max(took_seconds, 0.001)))
        self.size = max(1, int(min(self.size * factor, _LARGEST_BATCH)))

    def shrink(self) -> bool:
        """A batch ran out of its time and was rolled back: try far fewer; False when there is nothing to shrink."""
        before, self.size = self.size, max(1, self.size // 10)
        return before > 1


@dataclass
class _Table:
    """A table while its rows go in batches."""

    owned: Owned
    size: Size
    freed: Freed | None  # None: it keeps its triggers
    with_triggers: Pace
    without: Pace
    compression: dict[str, str]
    referenced: int = 0  # rows that are to go with their triggers, for others refer to some of them


def _begin(size: Size, batch_seconds: float) -> Pace:
    """With triggers. Where they search large tables for each row, the first batch has what should fit."""
    fitting = int(batch_seconds / size.seconds_a_row) if size.seconds_a_row else _FIRST_BATCH
    return Pace(max(1, min(_FIRST_BATCH, fitting)))


@dataclass(frozen=True)
class RowEraser:
    """Erases the rows of one instance.

    report gets the rows of each batch once it is committed; stop is asked between batches; throttle says how long a
    batch may take; brake holds it back while replicas lag; with always_triggers, no trigger is kept from firing;
    note_triggers gets the tables with many rows, and why their triggers fire if they do.
    """

    tenant: Tenant
    instance_id: str
    throttle: Callable[[], Throttle]
    report: Callable[[dict[str, int]], None]
    stop: Callable[[], bool]
    brake: Brake
    always_triggers: bool = False
    note_triggers: Callable[[dict[str, str | None]], None] = lambda tables: None  # noqa: ARG005
    _reporting: Lock = field(default_factory=Lock)

    def erase(self, tables: Sequence[Owned], planned: Mapping[str, int] | None = None) -> bool:
        """Erase the instance's rows of these tables, in this order; False when stopped before the end."""
        sizes = counting.find_sizes(self.tenant, tables, self.instance_id, planned)
        left = [(table, sizes[table.table]) for table in tables if sizes[table.table].rows != 0]
        seconds = self.throttle().batch_seconds
        large = self._tables([(owned, size) for owned, size in left if not size.fits(seconds)])
        for few, group in groupby(left, key=lambda sized: sized[1].fits(seconds)):
            if self._is_over():
                return False
            sized = list(group)
            if not (self._together(sized) if few else self._one_by_one(large[owned.table] for owned, _ in sized)):
                return False
        return True

    def _is_over(self) -> bool:
        """Whether to stop here; asked before each batch, after waiting for what lags."""
        self.brake.wait(self.stop)
        return self.stop()

    def _together(self, sized: Sequence[tuple[Owned, Size]]) -> bool:
        """Few rows of several tables, in one statement; in batches after all where there are too many."""
        tables = [owned for owned, _ in sized]
        deletes = [f"DELETE FROM {self.tenant.table(owned.table)} WHERE {guarded(owned)}" for owned in tables]
        try:
            rows, _ = self.tenant.change(deletes, {"id": self.instance_id}, statement_seconds=_STATEMENT_SECONDS)
        except Unreachable:
            raise
        except TransientError:  # what was planned can be an estimate, or old
            return self._one_by_one(self._tables(sized).values())
        self.report({owned.table: number for owned, number in zip(tables, rows, strict=True) if number})
        return True

    def _tables(self, sized: Sequence[tuple[Owned, Size]]) -> dict[str, _Table]:
        """How the rows of these tables go in batches: looked at once for all, and noted."""
        if not sized:
            return {}
        found = triggers.look(self.tenant, [owned for owned, _ in sized], always=self.always_triggers)
        self.note_triggers({**found.kept, **dict.fromkeys(found.freed)})
        compression, seconds = batch.compression(self.tenant), self.throttle().batch_seconds
        rows = max(1, int(seconds / _SECONDS_A_ROW))
        return {
            owned.table: _Table(
                owned, size, found.freed.get(owned.table), _begin(size, seconds), Pace(rows), compression
            )
            for owned, size in sized
        }

    def _one_by_one(self, tables: Iterable[_Table]) -> bool:
        return all(map(self._in_batches, tables))

    def _in_batches(self, table: _Table) -> bool:
        """All rows; on two connections where PostgreSQL searches large tables for each row: one keeps one core busy."""
        searches = not table.freed and table.size.seconds_a_row >= _READING_SECONDS
        if not searches or table.owned.table in table.owned.searched:  # else each would wait for rows of the other's
            return self._share(table, "")
        with ThreadPoolExecutor(len(_HALVES)) as pool:
            return all(pool.map(partial(self._share, table), _HALVES))

    def _share(self, table: _Table, share: str) -> bool:
        """The rows that meet this condition."""
        for window in _windows(table):
            is_done = False
            while not is_done:
                if self._is_over():
                    return False
                is_done = self._batch(table, share, window)
        # A row that was changed meanwhile goes with its Instance row, or when confirm looks again.
        return True

    def _batch(self, table: _Table, share: str, window: dict[str, object]) -> bool:
        """One batch, and the pause before it that is set; True when nothing is left there."""
        throttle, freed = self.throttle(), None if table.referenced > 0 else table.freed
        pace = table.without if freed else table.with_triggers
        asked, name = pace.size, table.owned.table
        time.sleep(throttle.pause_seconds)  # what the throttle asks for
        where = share + (" AND ctid >= CAST(:first AS tid) AND ctid < CAST(:after AS tid)" if window else "")
        values = {"id": self.instance_id, "size": asked, **window}
        try:
            done = batch.delete(self.tenant, table.owned, where, values, freed, table.compression)
        except Referenced:
            table.referenced = asked
            self.note_triggers({name: _WRITTEN_MEANWHILE})
        except Altered:
            table.freed = None
            self.note_triggers({name: "it was altered meanwhile"})
        except TransientError as error:
            # Where each row makes PostgreSQL search a large table for what refers to it, even few rows take long.
            if isinstance(error, Unreachable) or not pace.shrink():
                raise
        else:
            if done.rows:
                with self._reporting:
                    self.report({name: done.rows})
            table.referenced -= done.rows
            pace.learn(done.seconds, throttle.batch_seconds)
            return done.rows < asked
        return False


def _windows(table: _Table) -> Iterator[dict[str, object]]:
    """The whole table by its index; without one, a window of pages after the other: it is read once."""
    if table.owned.indexed:
        yield {}
        return
    for first in range(0, table.size.pages, LARGE_PAGES):
        yield {"first": f"({first},0)", "after": f"({first + LARGE_PAGES},0)"}
