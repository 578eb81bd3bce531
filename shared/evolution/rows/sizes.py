"""One look before rows are erased: which tables have few of an instance's rows, and what a row costs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.evolution.rows.counting import estimate, guarded, literal
from shared.evolution.rows.schema import Owned
from shared.evolution.rows.tenant import Tenant

FEW = 500  # rows of a table that are erased in one statement
_LARGE_PAGES = 1_000  # a table without an index that is larger than this is walked, not asked
_SECONDS_A_PAGE = 6e-6  # what it takes to search one, measured on warm pages: 96 ms for 500,000 messages
# From this share of a table's rows on, reading all its pages once costs less than a search for each batch.
_DENSE = 0.25


@dataclass(frozen=True)
class Size:
    """How many rows of an instance a table has, and how long PostgreSQL searches other tables for each one."""

    rows: int | None  # more than FEW can be an estimate; None where asking would read a large table
    seconds_a_row: float
    rows_a_page: float  # of all instances; 0 where this is not known
    share: float = 0  # of the table's rows that are the instance's, as far as is known

    @property
    def is_dense(self) -> bool:
        """Whether walking the table's pages costs less than searching; a page is the least that can be walked."""
        return self.share >= _DENSE and not self.seconds_a_row

    def fits(self, seconds: float) -> bool:
        """Whether all of them can go in one statement that takes a small part of this time."""
        return self.rows is not None and self.rows <= FEW and self.rows * self.seconds_a_row <= seconds / 10


def look(
    tenant: Tenant, tables: Sequence[Owned], instance_id: str, planned: Mapping[str, int] | None = None
) -> dict[str, Size]:
    """The size of each table: as it was planned, or else in one statement."""
    extents = _extents(
        tenant, {*(table.table for table in tables), *(name for table in tables for name in table.searched)}
    )
    asked = [table for table in tables if table.indexed or extents[table.table].pages <= _LARGE_PAGES]
    if planned is None:
        found = _few_rows(tenant, asked, instance_id)
    else:  # a table without planned rows may have got some since: it is not left out
        found = {table.table: planned.get(table.table, 1) for table in asked}
    return {table.table: _size(table, found.get(table.table), extents) for table in tables}


@dataclass(frozen=True)
class _Extent:
    """How large a table is, all instances together."""

    pages: int = 0
    rows: float = 0  # by the last ANALYZE or VACUUM; 0 before the first


def _size(owned: Owned, rows: int | None, extents: Mapping[str, _Extent]) -> Size:
    seconds_a_row = sum(extents[name].pages for name in owned.searched) * _SECONDS_A_PAGE
    whole = extents[owned.table]
    if not (whole.pages and whole.rows):
        return Size(rows, seconds_a_row, rows_a_page=0)
    return Size(rows, seconds_a_row, whole.rows / whole.pages, share=(rows or 0) / whole.rows)


def _few_rows(tenant: Tenant, tables: Sequence[Owned], instance_id: str) -> dict[str, int]:
    """Rows per table; where there are more than a few, what the planner expects."""
    if not tables:
        return {}
    query = " UNION ALL ".join(
        f"SELECT {literal(owned.table)}, (SELECT count(*) FROM"
        f" (SELECT 1 FROM {tenant.table(owned.table)} WHERE {guarded(owned)} LIMIT {FEW + 1}) AS few)"
        for owned in tables
    )
    found = {table: int(rows) for table, rows in tenant.ask(query, {"id": instance_id})}
    many = [owned for owned in tables if found.get(owned.table, 0) > FEW]
    return found | {owned.table: max(FEW + 1, estimate(tenant, owned, instance_id)) for owned in many}


def _extents(tenant: Tenant, tables: set[str]) -> defaultdict[str, _Extent]:
    # reltuples is of relpages, and grows with the table until it is counted again.
    query = (
        "SELECT c.relname, p.pages, greatest(c.reltuples, 0) * p.pages / greatest(c.relpages, 1) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " CROSS JOIN LATERAL"
        " (SELECT pg_relation_size(c.oid) / CAST(current_setting('block_size') AS int) AS pages) AS p"
        " WHERE n.nspname = :schema AND c.relname = ANY(:tables)"
    )
    found = tenant.ask(query, {"schema": tenant.schema, "tables": sorted(tables)})
    return defaultdict(_Extent, {table: _Extent(int(pages), float(rows)) for table, pages, rows in found})
