"""The indexes that Evolution's tables lack for a deletion: what their absence costs, and how to create them."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, text

from shared.database import connections
from shared.database.connections import translate_errors
from shared.errors import Refused
from shared.evolution.rows.schema import OWNER_COLUMN, ROOT, quote
from shared.evolution.rows.tenant import WHAT, Tenant
from shared.translations.marks import N_

_LONGEST_NAME = 63  # bytes, of a PostgreSQL identifier
# A large table takes as long as it takes, and CONCURRENTLY waits for all transactions that are older than itself.
_PATIENTLY = "-c statement_timeout=0 -c lock_timeout=60s"
_MANY_ROWS = 10_000  # reading fewer than these takes no time worth a word

# A partial index serves only queries that repeat its condition, and of the others only these find a single value.
_UNINDEXED = text("""
WITH wanted AS (
  SELECT con.conrelid AS child, con.conkey[1] AS attnum, parent.relname AS parent
  FROM pg_constraint con JOIN pg_class parent ON parent.oid = con.confrelid
  JOIN pg_namespace n ON n.oid = parent.relnamespace
  WHERE con.contype = 'f' AND con.conparentid = 0 AND cardinality(con.conkey) = 1
    AND n.nspname = :schema AND parent.relname = ANY (:tables)
  UNION
  SELECT a.attrelid, a.attnum, :root FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = :schema AND c.relname = ANY (:tables) AND a.attname = :column AND NOT a.attisdropped)
SELECT child.relname, a.attname, w.parent, pg_total_relation_size(child.oid), child.relkind = 'p',
       pg_has_role(child.relowner, 'USAGE') AND has_schema_privilege(child.relnamespace, 'CREATE')
FROM wanted w JOIN pg_class child ON child.oid = w.child
JOIN pg_attribute a ON a.attrelid = w.child AND a.attnum = w.attnum
WHERE NOT EXISTS (
  SELECT 1 FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
  WHERE i.indrelid = w.child AND i.indkey[0] = w.attnum AND i.indisvalid AND i.indpred IS NULL
    AND m.amname IN ('btree', 'hash'))
ORDER BY 1, 2""")

_LEFTOVER = text("""
SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relname = :name AND NOT i.indisvalid""")


@dataclass(frozen=True)
class MissingIndex:
    """A column that PostgreSQL searches during a deletion, and can only by reading its whole table."""

    table: str
    column: str
    parent: str  # of which each removed row is such a search
    rows: int  # of the table, as the planner expects
    size_bytes: int
    searches: int  # that one deletion makes: the parent's rows of an average instance
    partitioned: bool
    may_create: bool  # whether Lethe's role owns the table

    @property
    def name(self) -> str:
        """What the index is called; always the same, so that an interrupted run is recognised."""
        name = f"lethe_{self.table}_{self.column}_idx"
        if len(name.encode()) <= _LONGEST_NAME:
            return name
        return f"lethe_{hashlib.sha256(name.encode()).hexdigest()[:24]}_idx"

    @property
    def is_costly(self) -> bool:
        """Whether a deletion would notice; small tables are read in no time."""
        return self.rows * self.searches >= _MANY_ROWS and self.rows > 1

    @property
    def cost(self) -> str:
        """What the absence costs, in words."""
        times = N_("once" if self.searches <= 1 else f"{self.searches:,} times")
        return N_(
            f'removing an average instance\'s rows of "{self.parent}" reads all of "{self.table}"'
            f' (about {self.rows:,} rows, {_megabytes(self.size_bytes)}) {times}, for each "{self.column}" anew'
        )

    def statement(self, schema: str) -> str:
        """The SQL that creates it, for whoever owns the table."""
        # PostgreSQL cannot do it concurrently for a partitioned table: its owner has to choose the moment.
        how = "" if self.partitioned else "CONCURRENTLY "
        table = f"{quote(schema)}.{quote(self.table)}"
        return f"CREATE INDEX {how}IF NOT EXISTS {quote(self.name)} ON {table} ({quote(self.column)})"


def find(tenant: Tenant) -> list[MissingIndex]:
    """Every column on the way of a deletion that leads no index, the most expensive first."""
    tables = [owned.table for owned in tenant.plan().tables]
    values = {"schema": tenant.schema, "tables": tables, "root": ROOT, "column": OWNER_COLUMN}
    with tenant.transaction() as connection:
        rows = connection.execute(_UNINDEXED, values).all()
        sizes = _expect(connection, tenant, {name for row in rows for name in (row[0], row[2])})
        # Counted, for it is small, and the divisor of all estimates.
        sizes[ROOT] = connection.execute(text(f"SELECT count(*) FROM {tenant.table(ROOT)}")).scalar_one()
    found = [
        MissingIndex(table, column, parent, sizes[table], size, _searches(sizes, parent), partitioned, may_create)
        for table, column, parent, size, partitioned, may_create in rows
    ]
    return sorted(found, key=lambda each: each.rows * each.searches, reverse=True)


def _searches(sizes: dict[str, int], parent: str) -> int:
    return max(1, round(sizes[parent] / max(1, sizes[ROOT])))


def _expect(connection: Connection, tenant: Tenant, tables: Iterable[str]) -> dict[str, int]:
    """The planner's idea of how many rows each table has; also good for one that was never analysed."""
    expected = {}
    for table in tables:
        (explained,) = connection.execute(
            text(f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {tenant.table(table)}")
        ).scalar_one()
        expected[table] = int(explained["Plan"]["Plan Rows"])
    return expected


def create(tenant: Tenant, missing: MissingIndex) -> None:
    """Create one index without keeping anybody from writing; raises Refused where Lethe's role may not."""
    if missing.partitioned or not missing.may_create:
        raise Refused(f'"{missing.table}" is its owner\'s to index')
    with translate_errors(WHAT), _alone(tenant) as connection:
        if connection.execute(_LEFTOVER, {"schema": tenant.schema, "name": missing.name}).scalar() is not None:
            connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {tenant.table(missing.name)}"))
        connection.execute(text(missing.statement(tenant.schema)))


@contextmanager
def _alone(tenant: Tenant) -> Iterator[Connection]:
    """A connection without a transaction, which CONCURRENTLY refuses, with time limits of its own."""
    # Given as it opens: what a SET leaves behind, PgBouncer hands to whoever comes next.
    engine = connections.connect(tenant.engine.url, name="index", pool_size=1, options=_PATIENTLY)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection
    finally:
        engine.dispose()


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1024**2:,.1f} MB"
