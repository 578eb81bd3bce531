"""What an instance owns in Evolution's schema, worked out from the live catalogue instead of a list."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from sqlalchemy import Connection, text

from shared.errors import Refused

ROOT = "Instance"
OWNER_COLUMN = "instanceId"


@dataclass(frozen=True)
class ForeignKey:
    """One foreign key of the catalogue; columns are the child's and the parent's, in order."""

    name: str
    schema: str
    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_delete: str  # pg_constraint.confdeltype: a no action, r restrict, c cascade, n set null, d set default
    nullable: bool

    @property
    def owns(self) -> bool:
        """Whether the child cannot outlive its parent; the other kind only mentions it."""
        return not (self.nullable and self.on_delete == "n")


@dataclass(frozen=True)
class Route:
    """What ties a table to the instance: a column with its id, or a key to an owned table."""

    column: str
    key: ForeignKey | None
    is_text: bool = True


Routes = dict[str, list[Route]]


@dataclass(frozen=True)
class Owned:
    """A table of which some rows belong to an instance, and the predicate that says which; :id is its id.

    For each row of it that goes, PostgreSQL searches the `searched` tables from end to end: the column in which they
    refer to it has no index.
    """

    table: str
    predicate: str
    indexed: bool
    searched: tuple[str, ...] = ()


@dataclass(frozen=True)
class Crossing:
    """A foreign key by which rows of one instance could hang on rows of another."""

    key: ForeignKey
    child: Owned
    parent: Owned


@dataclass(frozen=True)
class OutsideKey:
    """A foreign key of a table in another schema, which Lethe does not erase from."""

    key: ForeignKey
    parent: Owned


@dataclass(frozen=True)
class Plan:
    """The tables of a deletion, leaves first, the Instance row last."""

    tables: tuple[Owned, ...]
    crossings: tuple[Crossing, ...]
    outside: tuple[OutsideKey, ...] = ()


def quote(identifier: str) -> str:
    """A quoted SQL identifier; Evolution's are CamelCase."""
    return '"' + identifier.replace('"', '""') + '"'


_FOREIGN_KEYS = text("""
SELECT con.conname, child_ns.nspname, child.relname,
       array(SELECT attname FROM unnest(con.conkey) WITH ORDINALITY k(n, i)
             JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.n ORDER BY i)::text[],
       parent.relname,
       array(SELECT attname FROM unnest(con.confkey) WITH ORDINALITY k(n, i)
             JOIN pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.n ORDER BY i)::text[],
       con.confdeltype::text,
       NOT EXISTS (SELECT 1 FROM pg_attribute a
                   WHERE a.attrelid = con.conrelid AND a.attnum = ANY (con.conkey) AND a.attnotnull)
FROM pg_constraint con
JOIN pg_class child ON child.oid = con.conrelid JOIN pg_namespace child_ns ON child_ns.oid = child.relnamespace
JOIN pg_class parent ON parent.oid = con.confrelid JOIN pg_namespace parent_ns ON parent_ns.oid = parent.relnamespace
WHERE con.contype = 'f' AND con.conparentid = 0 AND parent_ns.nspname = :schema
ORDER BY child.relname, con.conname""")

_OWNER_COLUMNS = text("""
SELECT c.relname, coalesce(nullif(y.typbasetype, 0), y.oid) IN (SELECT oid FROM pg_type WHERE typcategory = 'S')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = :column AND NOT a.attisdropped
JOIN pg_type y ON y.oid = a.atttypid
WHERE n.nspname = :schema AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1""")

_LEADING_COLUMNS = text("""
SELECT c.relname, a.attname FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE n.nspname = :schema AND i.indisvalid AND i.indpred IS NULL""")


# Cheap to ask, and the same as long as a plan that was read before still holds: tables, columns, keys and indexes.
FINGERPRINT = """
SELECT concat_ws('/',
  (SELECT concat_ws(' ', max(c.oid), sum(c.relnatts), sum(hashtext(c.relname)), count(a.attname))
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = :column AND NOT a.attisdropped
   WHERE n.nspname = :schema),
  (SELECT concat_ws(' ', max(k.oid), sum(hashtext(concat(k.conname, k.confdeltype, a.attname, a.attnotnull))))
   FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
   WHERE k.contype = 'f'),
  (SELECT concat_ws(' ', count(*), max(indexrelid), sum(CAST(indisvalid AS int))) FROM pg_index))"""


def read_plan(connection: Connection, schema: str) -> Plan:
    """Reflect the schema and plan a deletion; raises Refused, naming what is in the way."""
    keys = [
        ForeignKey(row[0], row[1], row[2], tuple(row[3]), row[4], tuple(row[5]), row[6], row[7])
        for row in connection.execute(_FOREIGN_KEYS, {"schema": schema})
    ]
    is_text = {row[0]: row[1] for row in connection.execute(_OWNER_COLUMNS, {"schema": schema, "column": OWNER_COLUMN})}
    leading = {(row[0], row[1]) for row in connection.execute(_LEADING_COLUMNS, {"schema": schema})}
    return make_plan(schema, keys, is_text, leading, {table for table, is_so in is_text.items() if not is_so})


def make_plan(
    schema: str,
    keys: Sequence[ForeignKey],
    named: Iterable[str],
    leading: set[tuple[str, str]],
    of_other_types: Collection[str] = (),
) -> Plan:
    """Plan from reflected facts: keys, the tables with an instanceId column, the columns that lead an index.

    of_other_types are those of the tables whose instanceId is no text, but a uuid for example.
    """
    outside, keys = [key for key in keys if key.schema != schema], [key for key in keys if key.schema == schema]
    routes = _find_owned(keys, named, of_other_types)
    for key in keys:
        if key.parent in routes:
            _check_known(key)
    predicates = {table: _predicate(table, routes, schema) for table in routes}
    owned = {
        table: Owned(table, predicate, _is_led(table, routes, leading), _searched(table, keys, leading))
        for table, predicate in predicates.items()
    }
    order = _leaves_first(owned, keys)
    crossings = tuple(
        Crossing(key, owned[key.child], owned[key.parent])
        for key in keys
        if key.owns and key.parent in owned and key.parent != ROOT and _is_direct(routes[key.child])
    )
    from_outside = tuple(OutsideKey(key, owned[key.parent]) for key in outside if key.parent in owned)
    return Plan(tuple(owned[table] for table in order), crossings, from_outside)


def _find_owned(keys: Sequence[ForeignKey], named: Iterable[str], of_other_types: Collection[str]) -> Routes:
    """Each owned table with what ties it to the instance: one column with its id, or keys to owned tables."""
    found: Routes = {ROOT: [Route("id", None)]}
    for key in keys:
        if key.parent == ROOT and key.owns and key.child != ROOT:
            if key.child in found:
                raise Refused(f'table "{key.child}" refers to "{ROOT}" by several keys: whose are its rows?')
            if key.parent_columns != ("id",):
                raise Refused(f'foreign key "{key.name}" of table "{key.child}" refers to "{ROOT}" not by its id')
            found[key.child] = [Route(key.columns[0], None)]
    with_key = {key.child for key in keys if key.columns == (OWNER_COLUMN,)}
    for table in named:
        if table not in with_key:
            found.setdefault(table, [Route(OWNER_COLUMN, None, is_text=table not in of_other_types)])
    grown = True
    while grown:
        grown = False
        for key in keys:
            route = Route(key.columns[0], key)
            if not key.owns or key.parent not in found or _is_direct(found.get(key.child, [])):
                continue
            if route not in found.get(key.child, []) and key.child != key.parent:
                found.setdefault(key.child, []).append(route)
                grown = True
    return found


def _is_direct(routes: Sequence[Route]) -> bool:
    """Whether a column of the table holds the instance's id."""
    return bool(routes) and routes[0].key is None


def _is_led(table: str, routes: Routes, leading: set[tuple[str, str]]) -> bool:
    route = routes[table][0]
    return len(routes[table]) == 1 and route.is_text and (table, route.column) in leading


def _searched(table: str, keys: Sequence[ForeignKey], leading: set[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(key.child for key in keys if key.parent == table and (key.child, key.columns[0]) not in leading)


def _check_known(key: ForeignKey) -> None:
    where = f'foreign key "{key.name}" of table "{key.child}"'
    if len(key.columns) != 1:
        raise Refused(f"{where} has several columns")
    if key.on_delete not in "arcn":
        raise Refused(f"{where} has a delete rule that Lethe does not know")
    if key.owns and key.child == key.parent:
        raise Refused(f"{where} refers to its own table: a cycle")


def _predicate(table: str, routes: Routes, schema: str, seen: tuple[str, ...] = ()) -> str:
    if table in seen:
        raise Refused(f"the foreign keys of {' -> '.join((*seen, table))} form a cycle")
    parts = []
    for route in routes[table]:
        if route.key is None:
            # One statement compares the id with columns of many tables: its type is text.
            return f"{quote(route.column)} = :id" if route.is_text else f"CAST({quote(route.column)} AS text) = :id"
        parent = f"{quote(schema)}.{quote(route.key.parent)}"
        inner = _predicate(route.key.parent, routes, schema, (*seen, table))
        parts.append(
            f"{quote(route.column)} IN (SELECT {quote(route.key.parent_columns[0])} FROM {parent} WHERE {inner})"
        )
    return f"({' OR '.join(parts)})" if len(parts) > 1 else parts[0]


def _leaves_first(owned: Iterable[str], keys: Sequence[ForeignKey]) -> list[str]:
    tables = set(owned)
    inside = [key for key in keys if {key.child, key.parent} <= tables and key.child != key.parent]
    # A mention costs least when its row goes before what it mentions; where that closes a circle, it may come later.
    for edges in (inside, [key for key in inside if key.owns]):
        graph: dict[str, set[str]] = {table: set() for table in sorted(tables)}
        for key in edges:
            graph[key.parent].add(key.child)
        graph[ROOT] = tables - {ROOT}
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            circle = " -> ".join(error.args[1])
    raise Refused(f"the foreign keys of {circle} form a cycle")
