"""Counts an instance's rows, and checks that they can be erased safely."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.errors import Refused, TransientError, Unreachable
from shared.evolution.rows.schema import ROOT, Crossing, Owned, Plan, quote
from shared.evolution.rows.tenant import CHANNELS, Tenant

# A check that walks more parents than this costs more than the loss it guards against is likely.
_CROSSING_PARENTS = 10_000
_RIGHTS = ("SELECT", "DELETE")
# The fence renames the row and disables its channels; the reservation inserts one.
_MORE_RIGHTS = {ROOT: ("UPDATE", "INSERT"), **dict.fromkeys(CHANNELS, ("UPDATE",))}
FEW = 500  # rows of a table that are erased in one statement
LARGE_PAGES = 1_000  # a table without an index that is larger than this is walked, not asked
_SECONDS_A_PAGE = 6e-6  # what it takes to search one, measured on warm pages: 96 ms for 500,000 messages
_COUNT_SECONDS = 5  # a preview is no reason to keep a large database busy


def guarded(owned: Owned) -> str:
    """The predicate of a table; refuses to build a statement that is not bound to one instance."""
    if ":id" not in owned.predicate:
        raise Refused(f'no instance predicate for table "{owned.table}"')
    return owned.predicate


def count(tenant: Tenant, plan: Plan, instance_id: str) -> dict[str, int]:
    """Rows of the instance per table, tables without any left out; estimated where counting would take long."""
    query = " UNION ALL ".join(
        f"SELECT {literal(owned.table)}, count(*) FROM {tenant.table(owned.table)} WHERE {guarded(owned)}"
        for owned in plan.tables
    )
    try:
        found = tenant.ask(query, {"id": instance_id}, statement_seconds=_COUNT_SECONDS)
    except TransientError as error:
        if isinstance(error, Unreachable):
            raise
        return {owned.table: estimate(tenant, owned, instance_id) for owned in plan.tables}  # too large to be counted
    return {table: rows for table, rows in found if rows}


def count_of_many(tenant: Tenant, plan: Plan, instance_ids: Sequence[str]) -> tuple[dict[str, int], bool]:
    """The same for many instances together, and whether it is exact."""
    query = " UNION ALL ".join(
        f"SELECT {literal(owned.table)}, count(*) FROM {tenant.table(owned.table)} WHERE {_of_many(owned)}"
        for owned in plan.tables
    )
    values = {"ids": list(instance_ids)}
    try:
        found = tenant.ask(query, values, statement_seconds=_COUNT_SECONDS)
    except TransientError as error:
        if isinstance(error, Unreachable):
            raise
        estimated = {owned.table: _estimate(tenant, owned, _of_many(owned), values) for owned in plan.tables}
        return {table: rows for table, rows in estimated.items() if rows}, False
    return {table: rows for table, rows in found if rows}, True


def _of_many(owned: Owned) -> str:
    """The predicate for the ids of several instances."""
    return guarded(owned).replace("= :id", "= ANY(:ids)")


def estimate(tenant: Tenant, owned: Owned, instance_id: str) -> int:
    """How many rows of a table the planner expects: it reads statistics, never the table."""
    return _estimate(tenant, owned, guarded(owned), {"id": instance_id})


def _estimate(tenant: Tenant, owned: Owned, predicate: str, values: Mapping[str, object]) -> int:
    query = f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {tenant.table(owned.table)} WHERE {predicate}"
    (((explained,),),) = tenant.ask(query, values)
    return int(explained["Plan"]["Plan Rows"])


def remaining(tenant: Tenant, plan: Plan, instance_id: str, *, statement_seconds: float = 30) -> list[str]:
    """The tables in which the instance still has a row."""
    query = " UNION ALL ".join(
        f"SELECT {literal(owned.table)} WHERE EXISTS (SELECT 1 FROM {tenant.table(owned.table)} WHERE {guarded(owned)})"
        for owned in plan.tables
    )
    return [table for (table,) in tenant.ask(query, {"id": instance_id}, statement_seconds=statement_seconds)]


def check_rights(tenant: Tenant, plan: Plan) -> None:
    """Raise Refused when the database role may not do what a deletion needs."""
    # has_table_privilege answers yes when one of several is held, so each is asked for.
    needed = [(owned.table, right) for owned in plan.tables for right in (*_RIGHTS, *_MORE_RIGHTS.get(owned.table, ()))]
    query = (
        "SELECT n FROM unnest(CAST(:tables AS text[]), CAST(:rights AS text[])) WITH ORDINALITY AS x(t, r, n)"
        " WHERE NOT has_table_privilege(t, r) ORDER BY n LIMIT 1"
    )
    values = {"tables": [tenant.table(table) for table, _ in needed], "rights": [right for _, right in needed]}
    for (missing,) in tenant.ask(query, values):
        table, right = needed[missing - 1]
        raise Refused(f'the tenant database role lacks {right} on "{table}"')


def literal(table: str) -> str:
    """A table's name as an SQL string, in which text() finds no parameter."""
    return "'" + table.replace("'", "''").replace(":", "\\:") + "'"


def check_crossings(tenant: Tenant, plan: Plan, instance_id: str, counts: dict[str, int]) -> None:
    """Raise Refused when a row of another instance hangs on one of ours: erasing would take it along."""
    crossings = [each for each in plan.crossings if 0 < counts.get(each.parent.table, 0) <= _CROSSING_PARENTS]
    if not crossings:
        return
    query = " UNION ALL ".join(f"SELECT {at} WHERE {_crosses(tenant, each)}" for at, each in enumerate(crossings))
    for (at,) in tenant.ask(query, {"id": instance_id}, statement_seconds=30):
        child, parent = crossings[at].child.table, crossings[at].parent.table
        raise Refused(f'a row of another instance in "{child}" refers to this instance\'s "{parent}"')


def _crosses(tenant: Tenant, crossing: Crossing) -> str:
    child, parent, key = crossing.child, crossing.parent, crossing.key
    return (
        f"EXISTS (SELECT 1 FROM {tenant.table(child.table)}"
        f" WHERE NOT ({guarded(child)}) AND {quote(key.columns[0])} IN"
        f" (SELECT {quote(key.parent_columns[0])} FROM {tenant.table(parent.table)} WHERE {guarded(parent)}))"
    )


@dataclass(frozen=True)
class Size:
    """How many rows of an instance a table has, and how long PostgreSQL's triggers search other tables for each one."""

    rows: int | None  # FEW + 1 stands for more; None where asking would read a large table
    seconds_a_row: float
    pages: int  # of the table, all instances together

    def fits(self, seconds: float) -> bool:
        """Whether all of them can go in one statement that takes a small part of this time."""
        return self.rows is not None and self.rows <= FEW and self.rows * self.seconds_a_row <= seconds / 10


def find_sizes(
    tenant: Tenant, tables: Sequence[Owned], instance_id: str, planned: Mapping[str, int] | None = None
) -> dict[str, Size]:
    """The size of each table: as it was planned, or else in one statement."""
    pages = _pages(tenant, {*(table.table for table in tables), *(name for table in tables for name in table.searched)})
    asked = [table for table in tables if table.indexed or pages[table.table] <= LARGE_PAGES]
    if planned is None:
        found = _count_few(tenant, asked, instance_id)
    else:  # a table without planned rows may have got some since: it is not left out
        found = {table.table: planned.get(table.table, 1) for table in asked}
    seconds = {table.table: sum(pages[name] for name in table.searched) * _SECONDS_A_PAGE for table in tables}
    return {name: Size(found.get(name), seconds[name], pages[name]) for name in seconds}


def _count_few(tenant: Tenant, tables: Sequence[Owned], instance_id: str) -> dict[str, int]:
    if not tables:
        return {}
    query = " UNION ALL ".join(
        f"SELECT {literal(owned.table)}, (SELECT count(*) FROM"
        f" (SELECT 1 FROM {tenant.table(owned.table)} WHERE {guarded(owned)} LIMIT {FEW + 1}) AS few)"
        for owned in tables
    )
    return {table: int(rows) for table, rows in tenant.ask(query, {"id": instance_id})}


def _pages(tenant: Tenant, tables: set[str]) -> dict[str, int]:
    """How large each table is, all instances together."""
    query = (
        "SELECT c.relname, pg_relation_size(c.oid) / CAST(current_setting('block_size') AS int) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :schema AND c.relname = ANY(:tables)"
    )
    found = tenant.ask(query, {"schema": tenant.schema, "tables": sorted(tables)})
    return dict.fromkeys(tables, 0) | {table: int(pages) for table, pages in found}
