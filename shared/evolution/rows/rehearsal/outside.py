"""What an operator's functions could do outside of the database: a trial of them could not be taken back."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

# Functions of dblink, http, pg_net, pg_background, aws_* and adminpack, and files and programs of the server.
_REACHES_OUT = re.compile(
    r"\bdblink\w*\s*\(|\bhttp(_\w+)?\s*\(|\bnet\.http_|\bpg_background\w*\s*\(|\baws_(lambda|s3|commons)\b|\blo_export\s*\("
    r"|\bpg_file_\w+\s*\(|\bcopy\b[^;]*(\bprogram\b|\bto\s+')",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")

# A trigger (or a rule) with the source of what it runs. An untrusted language can do anything.
_TRIGGERS = text("""
SELECT t.tgrelid, t.tgname, pg_get_functiondef(p.oid), NOT l.lanpltrusted AND l.lanname NOT IN ('c', 'internal')
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
UNION ALL
SELECT r.ev_class, r.rulename, pg_get_ruledef(r.oid), false FROM pg_rewrite r
WHERE r.ev_type IN ('2', '3', '4') AND r.ev_enabled <> 'D'""")

_FUNCTIONS = text(
    """
SELECT p.proname, string_agg(pg_get_functiondef(p.oid), ' '), bool_or(NOT l.lanpltrusted AND l.lanname <> 'c')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prokind IN ('f', 'p')
  AND l.lanname <> 'internal'
  AND NOT EXISTS (
    SELECT 1 FROM pg_depend d WHERE d.classid = to_regclass('pg_proc') AND d.objid = p.oid AND d.deptype = 'e')
GROUP BY 1"""
)

_KEYS = text(
    "SELECT DISTINCT conrelid, confrelid FROM pg_constraint WHERE contype = 'f' AND confdeltype IN ('c', 'n', 'd')"
)
_TABLES = text(
    "SELECT c.relname, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = :schema AND c.relname = ANY(:tables)"
)


@dataclass(frozen=True)
class _Function:
    source: str
    is_untrusted: bool


def find(connection: Connection, schema: str, tables: Iterable[str], root: str) -> dict[str, str]:
    """Those of the tables of which a deleted row fires a trigger that reaches outside, each with the trigger's name.

    No row of the root is tried to be deleted that others refer to: only its own triggers count.
    """
    functions = {name: _Function(source, bad) for name, source, bad in connection.execute(_FUNCTIONS)}
    found: dict[int, str] = {}
    for relation, name, source, is_untrusted in connection.execute(_TRIGGERS):
        if is_untrusted or _reaches_out(source, functions):
            found[relation] = name
    children = [(child, parent) for child, parent in connection.execute(_KEYS)]
    known = connection.execute(_TABLES, {"schema": schema, "tables": list(tables)})
    oids: dict[str, int] = {row[0]: row[1] for row in known}
    _spread(found, [(child, parent) for child, parent in children if parent != oids.get(root)])
    return {table: found[oid] for table, oid in oids.items() if oid in found}


def _reaches_out(source: str, functions: Mapping[str, _Function]) -> bool:
    """Itself, or by a function that it names, or that this one names."""
    waiting, seen = [source], set[str]()
    while waiting:
        text_ = waiting.pop()
        if _REACHES_OUT.search(text_):
            return True
        for name in (functions.keys() & set(_WORD.findall(text_))) - seen:
            seen.add(name)
            if functions[name].is_untrusted:
                return True
            waiting.append(functions[name].source)
    return False


def _spread(found: dict[int, str], keys: Iterable[tuple[int, int]]) -> None:
    """A row takes along those that refer to it, and so fires their triggers."""
    pairs, grown = list(keys), True
    while grown:
        grown = False
        for child, parent in pairs:
            if child in found and parent not in found:
                found[parent] = found[child]
                grown = True
