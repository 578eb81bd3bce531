"""Reads an instance's rows as lines of JSON, in short transactions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.archives import copying, left_out
from shared.database import round_trips
from shared.database.connections import translate_errors
from shared.evolution.rows.counting import LARGE_PAGES, guarded
from shared.evolution.rows.schema import Owned, quote
from shared.evolution.rows.tenant import WHAT, Tenant, compiled

STATEMENT_SECONDS = 10
_ROW = '"lethe row"'  # what no column is called
_FEW = 20_000  # rows that one statement reads
_CHUNK = 1 << 18
# So that each value is written in full, and in the same words whatever the role's settings are.
_OUTPUT = {
    "datestyle": "ISO",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "intervalstyle": "postgres",
    "lc_monetary": "C",
}

_COLUMNS = """
SELECT c.relname, a.attname, y.typcategory, y.typtype, tn.nspname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type y ON y.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = y.typnamespace
WHERE n.nspname = :schema AND c.relname = ANY(:tables) ORDER BY c.relname, a.attnum"""

# The tables that hold rows: of a partitioned one its partitions, of an inherited one itself and its children.
_HEAPS = """
WITH RECURSIVE heap(name, oid) AS (
    SELECT c.relname, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND c.relname = ANY(:tables)
    UNION ALL SELECT heap.name, inhrelid FROM pg_inherits JOIN heap ON inhparent = heap.oid
)
SELECT heap.name, ns.nspname, c.relname, coalesce(pg_relation_filenode(c.oid), 0),
    pg_relation_size(c.oid) / CAST(current_setting('block_size') AS int)
FROM heap JOIN pg_class c ON c.oid = heap.oid JOIN pg_namespace ns ON ns.oid = c.relnamespace
WHERE c.relkind <> 'p' ORDER BY heap.name, c.oid"""

_SINCE = "SELECT CAST(txid_snapshot_xmin(txid_current_snapshot()) AS bigint)"


@dataclass(frozen=True)
class Heap:
    """A table that holds rows itself. Its node changes when PostgreSQL writes it anew (VACUUM FULL, CLUSTER)."""

    schema: str
    name: str
    node: int
    pages: int

    @property
    def sql(self) -> str:
        """Its rows, without those of its children."""
        return f"ONLY {quote(self.schema)}.{quote(self.name)}"


@dataclass(frozen=True)
class Table:
    """A table of the plan, and how its rows are written."""

    owned: Owned
    heaps: tuple[Heap, ...]
    columns: tuple[str, ...]  # expressions
    secrets: tuple[str, ...]  # names of columns that are left out

    @property
    def name(self) -> str:
        """As the catalogue has it."""
        return self.owned.table


@dataclass
class Later:
    """Which rows were written since the archive began; counts those that were not."""

    condition: str
    values: Mapping[str, object]
    older: int = 0


@dataclass
class Window:
    """How many pages of a heap one statement reads."""

    pages: int = LARGE_PAGES
    is_small: bool = False  # a statement took too long: none reads all rows at once any more

    def shrink(self) -> bool:
        """A statement ran out of its time; False when there is nothing to shrink."""
        before, was_small = self.pages, self.is_small
        if was_small:
            self.pages = max(1, self.pages // 10)
        self.is_small = True
        return not was_small or self.pages < before


def since(tenant: Tenant) -> int:
    """The oldest transaction that was not over now: what comes later has its number or a higher one."""
    ((number,),) = tenant.ask(_SINCE, {})
    return int(number)


def read(tenant: Tenant, owned: Sequence[Owned], *, with_secrets: bool) -> list[Table]:
    """The tables, with their columns and heaps as they are now."""
    values = {"schema": tenant.schema, "tables": [each.table for each in owned]}
    columns: dict[str, list[str]] = {each.table: [] for each in owned}
    secrets: dict[str, list[str]] = {each.table: [] for each in owned}
    for table, column, category, kind, type_schema in tenant.ask(_COLUMNS, values):
        if not with_secrets and left_out.is_secret(table, column, category):
            secrets[table].append(column)
        else:
            columns[table].append(_expression(column, category, kind, type_schema))
    heaps: dict[str, list[Heap]] = {each.table: [] for each in owned}
    for table, schema, name, node, pages in tenant.ask(_HEAPS, values):
        heaps[table].append(Heap(schema, name, int(node), int(pages)))
    return [
        Table(each, tuple(heaps[each.table]), tuple(columns[each.table]), tuple(secrets[each.table]))
        for each in owned
        if heaps[each.table]
    ]


def _expression(column: str, category: str, kind: str, type_schema: str) -> str:
    name = quote(column)
    if kind == "b" and category != "A" and type_schema != "pg_catalog":  # of an extension, which may write JSON its way
        return f"CAST({name} AS text) AS {name}"
    return name


def is_few(tenant: Tenant, table: Table, heap: Heap, instance_id: str) -> bool:
    """Whether one statement may read all of the instance's rows in the heap."""
    if not table.owned.indexed and heap.pages > LARGE_PAGES:
        return False
    query = f"SELECT count(*) FROM (SELECT 1 FROM {heap.sql} WHERE {guarded(table.owned)} LIMIT {_FEW + 1}) AS few"
    ((rows,),) = tenant.ask(query, {"id": instance_id}, statement_seconds=STATEMENT_SECONDS)
    return int(rows) <= _FEW


def later(number: int) -> Later:
    """Rows that a transaction wrote which was not over at this number, or is younger."""
    return Later("age(xmin) <= age(CAST(:since AS xid))", {"since": str(number % 2**32)})


def pages(first: int, after: int) -> tuple[str, dict[str, object]]:
    """A condition for pages of a heap."""
    condition = "ctid >= CAST(:first AS tid) AND ctid < CAST(:after AS tid)"
    return condition, {"first": f"({first},0)", "after": f"({after},0)"}


def lines(
    tenant: Tenant,
    table: Table,
    heap: Heap,
    instance_id: str,
    window: tuple[str, dict[str, object]],
    late: Later | None,
) -> Iterator[tuple[int, bytes]]:
    """Chunks of lines, each with their number; the late ones alone if it is asked for them."""
    window_condition, window_values = window
    where = f"{guarded(table.owned)} AND {window_condition}"
    values = {"id": instance_id, **window_values, **(late.values if late else {})}
    query = f"SELECT row_to_json({_ROW}) FROM (SELECT {', '.join(table.columns)} FROM {heap.sql} WHERE {where}"
    query += f" AND {late.condition}) AS {_ROW}" if late else f") AS {_ROW}"
    settings = {**round_trips.limits(STATEMENT_SECONDS), **_OUTPUT, "jit": "off"}
    with translate_errors(WHAT), round_trips.driver_of(tenant.engine) as driver:
        # One snapshot for both, so that no row is counted as old and written as new.
        driver.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        driver.execute(compiled(round_trips.setting(settings)))
        if late:
            counts = f"SELECT count(*), count(*) FILTER (WHERE {late.condition}) FROM {heap.sql} WHERE {where}"
            rows, late_ones = driver.execute(compiled(counts), values).fetchall()[0]
            late.older += rows - late_ones
        if late is None or late_ones:
            yield from _chunks(copying.rows(driver, compiled(f"COPY ({query}) TO STDOUT"), values))
        driver.commit()


def _chunks(rows: Iterator[memoryview]) -> Iterator[tuple[int, bytes]]:
    held: list[memoryview] = []
    length = 0
    for row in rows:
        held.append(row)
        length += len(row)
        if length >= _CHUNK:
            yield len(held), _unescaped(held)
            held, length = [], 0
    if held:
        yield len(held), _unescaped(held)


def _unescaped(rows: list[memoryview]) -> bytes:
    """COPY doubles each backslash. What else it escapes are line breaks and tabs between values of a json column."""
    text = b"".join(rows).replace(b"\\\\", b"\0")  # text has no NUL
    if b"\\" in text:
        for escaped in (b"\\n", b"\\r", b"\\t"):
            text = text.replace(escaped, b" ")
    return text.replace(b"\0", b"\\")
