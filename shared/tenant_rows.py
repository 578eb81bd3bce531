"""Counts and erases an instance's rows, in statements that take about as long as they should."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import text

from shared.errors import Refused, TransientError, Unreachable
from shared.tenant import CHANNELS, Tenant
from shared.tenant_schema import ROOT, Owned, Plan

# A check that walks more parents than this costs more than the loss it guards against is likely.
_CROSSING_PARENTS = 10_000
_RIGHTS = ("SELECT", "DELETE")
# The fence renames the row and disables its channels; the reservation inserts one.
_MORE_RIGHTS = {ROOT: ("UPDATE", "INSERT"), **dict.fromkeys(CHANNELS, ("UPDATE",))}
_COUNT_SECONDS = 5  # a preview is no reason to keep a large database busy
_FIRST_BATCH = 500
_LARGEST_BATCH = 50_000


def _guarded(owned: Owned) -> str:
    """The predicate of a table; refuses to build a statement that is not bound to one instance."""
    if ":id" not in owned.predicate:
        raise Refused(f'no instance predicate for table "{owned.table}"')
    return owned.predicate


def count(tenant: Tenant, plan: Plan, instance_id: str) -> dict[str, int]:
    """Rows of the instance per table, tables without any left out; estimated where counting would take long."""
    query = " UNION ALL ".join(
        f"SELECT {_literal(owned.table)}, count(*) FROM {tenant.table(owned.table)} WHERE {_guarded(owned)}"
        for owned in plan.tables
    )
    try:
        with tenant.transaction(statement_seconds=_COUNT_SECONDS) as connection:
            found = connection.execute(text(query), {"id": instance_id}).all()
    except TransientError as error:
        if isinstance(error, Unreachable):
            raise
        return _estimate(tenant, plan, instance_id)
    return {table: rows for table, rows in found if rows}


def _estimate(tenant: Tenant, plan: Plan, instance_id: str) -> dict[str, int]:
    """What the planner expects, for an instance too large to be counted in time."""
    estimates = {}
    with tenant.transaction() as connection:
        for owned in plan.tables:
            query = text(f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {tenant.table(owned.table)} WHERE {_guarded(owned)}")
            (explained,) = connection.execute(query, {"id": instance_id}).scalar_one()
            estimates[owned.table] = int(explained["Plan"]["Plan Rows"])
    return estimates


def remaining(tenant: Tenant, plan: Plan, instance_id: str) -> list[str]:
    """The tables in which the instance still has a row."""
    query = " UNION ALL ".join(
        f"SELECT {_literal(owned.table)} WHERE EXISTS"
        f" (SELECT 1 FROM {tenant.table(owned.table)} WHERE {_guarded(owned)})"
        for owned in plan.tables
    )
    with tenant.transaction(statement_seconds=30) as connection:
        return list(connection.execute(text(query), {"id": instance_id}).scalars())


def check_rights(tenant: Tenant, plan: Plan) -> None:
    """Raise Refused when the database role may not do what a deletion needs."""
    # has_table_privilege answers yes when one of several is held, so each is asked for.
    needed = [(owned.table, right) for owned in plan.tables for right in (*_RIGHTS, *_MORE_RIGHTS.get(owned.table, ()))]
    query = text(
        "SELECT n FROM unnest(CAST(:tables AS text[]), CAST(:rights AS text[])) WITH ORDINALITY AS x(t, r, n)"
        " WHERE NOT has_table_privilege(t, r) ORDER BY n LIMIT 1"
    )
    values = {"tables": [tenant.table(table) for table, _ in needed], "rights": [right for _, right in needed]}
    with tenant.transaction() as connection:
        missing = connection.execute(query, values).scalar_one_or_none()
    if missing is not None:
        table, right = needed[missing - 1]
        raise Refused(f'the tenant database role lacks {right} on "{table}"')


def _literal(table: str) -> str:
    """A table's name as an SQL string, in which text() finds no parameter."""
    return "'" + table.replace("'", "''").replace(":", "\\:") + "'"


def check_crossings(tenant: Tenant, plan: Plan, instance_id: str, counts: dict[str, int]) -> None:
    """Raise Refused when a row of another instance hangs on one of ours: erasing would take it along."""
    with tenant.transaction(statement_seconds=30) as connection:
        for crossing in plan.crossings:
            if not 0 < counts.get(crossing.parent.table, 0) <= _CROSSING_PARENTS:
                continue
            child, parent, key = crossing.child, crossing.parent, crossing.key
            column, parent_column = f'"{key.columns[0]}"', f'"{key.parent_columns[0]}"'
            query = text(
                f"SELECT EXISTS (SELECT 1 FROM {tenant.table(child.table)}"
                f" WHERE NOT ({_guarded(child)}) AND {column} IN"
                f" (SELECT {parent_column} FROM {tenant.table(parent.table)} WHERE {_guarded(parent)}))"
            )
            if connection.execute(query, {"id": instance_id}).scalar_one():
                raise Refused(
                    f'a row of another instance in "{child.table}" refers to this instance\'s "{parent.table}"'
                )


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


def erase(
    tenant: Tenant,
    owned: Owned,
    instance_id: str,
    *,
    batch_seconds: float,
    report: Callable[[dict[str, int]], None],
    stop: Callable[[], bool],
    pages: Bookmarks,
) -> bool:
    """Erase the instance's rows of one table, each batch its own transaction; False when stopped before the end.

    report gets the rows of each batch once it is committed; pages keeps the place in a table that has to be walked.
    """
    if owned.indexed:
        return _erase_by_index(tenant, owned, instance_id, Pace(batch_seconds), report, stop)
    return _erase_by_page(tenant, owned, instance_id, Pace(batch_seconds, size=1_000), report, stop, pages)


def _erase_by_index(
    tenant: Tenant,
    owned: Owned,
    instance_id: str,
    pace: Pace,
    report: Callable[[dict[str, int]], None],
    stop: Callable[[], bool],
) -> bool:
    table, predicate = tenant.table(owned.table), _guarded(owned)
    delete = text(
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {predicate} LIMIT :size))"
        f" AND {predicate}"
    )
    while not stop():
        began, size = time.monotonic(), pace.size
        with tenant.transaction(statement_seconds=30) as connection:
            rows = connection.execute(delete, {"id": instance_id, "size": size}).rowcount
        pace.learn(time.monotonic() - began)
        if rows:
            report({owned.table: rows})
        if rows < size:  # a row that was changed meanwhile goes with its Instance row, or when confirm looks again
            return True
    return False


def _erase_by_page(
    tenant: Tenant,
    owned: Owned,
    instance_id: str,
    pace: Pace,
    report: Callable[[dict[str, int]], None],
    stop: Callable[[], bool],
    bookmarks: Bookmarks,
) -> bool:
    """Without an index every search reads the whole table: walk it once, by physical pages."""
    table, predicate = tenant.table(owned.table), _guarded(owned)
    delete = text(
        f"DELETE FROM {table} WHERE ctid >= CAST(:first AS tid) AND ctid < CAST(:after AS tid) AND {predicate}"
    )
    size_query = text("SELECT pg_relation_size(CAST(:table AS regclass)) / current_setting('block_size')::int")
    with tenant.transaction() as connection:
        pages = connection.execute(size_query, {"table": table}).scalar_one()
    page = bookmarks.page_of(owned.table)
    while page < pages:
        if stop():
            bookmarks.keep_page(owned.table, page)
            return False
        began, after = time.monotonic(), page + pace.size
        with tenant.transaction(statement_seconds=30) as connection:
            window = {"id": instance_id, "first": f"({page},0)", "after": f"({after},0)"}
            rows = connection.execute(delete, window).rowcount
        pace.learn(time.monotonic() - began)
        page = after
        if rows:
            report({owned.table: rows})
    if bookmarks.page_of(owned.table):
        bookmarks.keep_page(owned.table, 0)  # should it have to be walked again
    return True
