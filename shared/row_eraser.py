"""Erases an instance's rows in batches that take about as long as they should, each its own transaction."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import text

from shared.errors import TransientError, Unreachable
from shared.tenant import Tenant
from shared.tenant_rows import guarded
from shared.tenant_schema import Owned

_FIRST_BATCH = 50
_FIRST_PAGES = 1_000
_LARGEST_BATCH = 50_000
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

    def learn(self, took_seconds: float) -> None:
        """Aim at batch_seconds; at most halve or double at once, for one measurement proves little."""
        factor = min(2.0, max(0.5, self.batch_seconds / max(took_seconds, 0.001)))
        self.size = min(_LARGEST_BATCH, max(1, int(self.size * factor)))

    def shrink(self) -> bool:
        """A batch ran out of its time and was rolled back: try far fewer; False when there is nothing to shrink."""
        before, self.size = self.size, max(1, self.size // 10)
        return before > 1


@dataclass(frozen=True)
class RowEraser:
    """Erases the rows of one instance.

    report gets the rows of each batch once it is committed; stop is asked between batches; pages keeps the place in
    a table that has to be walked.
    """

    tenant: Tenant
    instance_id: str
    batch_seconds: float
    report: Callable[[dict[str, int]], None]
    stop: Callable[[], bool]
    pages: Bookmarks

    def erase(self, owned: Owned) -> bool:
        """Erase the instance's rows of one table; False when stopped before the end."""
        return self._by_index(owned) if owned.indexed else self._by_page(owned)

    def _by_index(self, owned: Owned) -> bool:
        table, predicate = self.tenant.table(owned.table), guarded(owned)
        delete = (
            f"DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {predicate} LIMIT :size))"
            f" AND {predicate}"
        )
        pace = Pace(self.batch_seconds)
        while not self.stop():
            size = pace.size
            rows = self._batch(owned, delete, {"size": size}, pace)
            if rows is not None and rows < size:
                return True  # a row that was changed meanwhile goes with its Instance row, or when confirm looks again
        return False

    def _by_page(self, owned: Owned) -> bool:
        """Without an index every search reads the whole table: walk it once, by physical pages."""
        table, predicate = self.tenant.table(owned.table), guarded(owned)
        delete = f"DELETE FROM {table} WHERE ctid >= CAST(:first AS tid) AND ctid < CAST(:after AS tid) AND {predicate}"
        pace, page, pages = Pace(self.batch_seconds, _FIRST_PAGES), self.pages.page_of(owned.table), self._pages(table)
        while page < pages:
            if self.stop():
                self.pages.keep_page(owned.table, page)
                return False
            after = page + pace.size
            if self._batch(owned, delete, {"first": f"({page},0)", "after": f"({after},0)"}, pace) is not None:
                page = after
        if self.pages.page_of(owned.table):
            self.pages.keep_page(owned.table, 0)  # should it have to be walked again
        return True

    def _batch(self, owned: Owned, delete: str, window: dict[str, object], pace: Pace) -> int | None:
        """Run one DELETE and learn from it; None when it took too long and a smaller one is to be tried."""
        began = time.monotonic()
        try:
            with self.tenant.transaction(statement_seconds=_STATEMENT_SECONDS) as connection:
                rows: int = connection.execute(text(delete), {"id": self.instance_id, **window}).rowcount
        except TransientError as error:
            # Where each row makes PostgreSQL search a large table for what refers to it, even few rows take long.
            if isinstance(error, Unreachable) or not pace.shrink():
                raise
            return None
        pace.learn(time.monotonic() - began)
        if rows:
            self.report({owned.table: rows})
        return rows

    def _pages(self, table: str) -> int:
        query = text("SELECT pg_relation_size(CAST(:table AS regclass)) / current_setting('block_size')::int")
        with self.tenant.transaction() as connection:
            return int(connection.execute(query, {"table": table}).scalar_one())
