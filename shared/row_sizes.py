"""One look before rows are erased: which tables have few of an instance's rows, and what a row costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from shared.tenant import Tenant
from shared.tenant_rows import guarded, literal
from shared.tenant_schema import Owned

FEW = 500  # rows of a table that are erased in one statement
_LARGE_PAGES = 1_000  # a table without an index that is larger than this is walked, not asked
_SECONDS_A_PAGE = 6e-6  # what it takes to search one, measured on warm pages: 96 ms for 500,000 messages


@dataclass(frozen=True)
class Size:
    """How many rows of an instance a table has, and how long PostgreSQL searches other tables for each one."""

    rows: int | None  # more than FEW says no more than that; None where asking would read a large table
    seconds_a_row: float

    def fits(self, seconds: float) -> bool:
        """Whether all of them can go in one statement that takes a small part of this time."""
        return self.rows is not None and self.rows <= FEW and self.rows * self.seconds_a_row <= seconds / 10


def look(
    tenant: Tenant, tables: Sequence[Owned], instance_id: str, planned: Mapping[str, int] | None = None
) -> dict[str, Size]:
    """The size of each table: as it was planned, or else in one statement."""
    pages = _pages(tenant, {*(table.table for table in tables), *(name for table in tables for name in table.searched)})
    asked = [table for table in tables if table.indexed or pages.get(table.table, 0) <= _LARGE_PAGES]
    if planned is None:
        found = _few_rows(tenant, asked, instance_id)
    else:  # a table without planned rows may have got some since: it is not left out
        found = {table.table: planned.get(table.table, 1) for table in asked}
    return {table.table: Size(found.get(table.table), _seconds_a_row(table, pages)) for table in tables}


def _seconds_a_row(owned: Owned, pages: Mapping[str, int]) -> float:
    return sum(pages.get(name, 0) for name in owned.searched) * _SECONDS_A_PAGE


def _few_rows(tenant: Tenant, tables: Sequence[Owned], instance_id: str) -> dict[str, int]:
    if not tables:
        return {}
    query = " UNION ALL ".join(
        f"SELECT {literal(owned.table)}, (SELECT count(*) FROM"
        f" (SELECT 1 FROM {tenant.table(owned.table)} WHERE {guarded(owned)} LIMIT {FEW + 1}) AS few)"
        for owned in tables
    )
    with tenant.transaction() as connection:
        return {table: int(rows) for table, rows in connection.execute(text(query), {"id": instance_id}).all()}


def _pages(tenant: Tenant, tables: set[str]) -> dict[str, int]:
    query = text(
        "SELECT c.relname, pg_relation_size(c.oid) / current_setting('block_size')::int FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :schema AND c.relname = ANY(:tables)"
    )
    with tenant.transaction() as connection:
        return {
            table: int(pages)
            for table, pages in connection.execute(query, {"schema": tenant.schema, "tables": sorted(tables)}).all()
        }
