"""Which tables are erased without PostgreSQL's triggers, and why the others keep theirs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.evolution.rows.counting import FEW
from shared.evolution.rows.schema import ROOT, Owned, quote
from shared.evolution.rows.tenant import Tenant
from shared.translations.marks import N_

_REMOVED = "lethe.removed"  # a setting of the transaction: the keys of the rows that a batch has removed
_BETWEEN = "chr(1)"  # between two keys: a text taken apart here costs half of what an array's text does

# One row per table: why it keeps its triggers, and which columns of which tables refer to which one of its own.
_FACTS = """
SELECT c.relname::text AS name,
  CASE WHEN c.relkind <> 'r' OR c.relhassubclass OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid)
         THEN 'it is partitioned or inherits'
       WHEN c.relhasrules THEN 'it has a rule'
       WHEN t.name IS NOT NULL THEN 'it has a trigger: ' || t.name
       WHEN k.itself THEN 'its rows refer to each other'
       WHEN k.columns > 1 THEN 'several of its columns are referred to'
       WHEN k.hidden IS NOT NULL THEN 'a table that refers to it cannot be read as a whole: ' || k.hidden
  END AS kept,
  a.attname::text AS key, format_type(a.atttypid, NULL) AS type, k.tables, k.fields
FROM pg_class c
CROSS JOIN LATERAL (
  SELECT min(tgname::text) AS name FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND tgenabled <> 'D') AS t
CROSS JOIN LATERAL (
  SELECT min(f.confkey[1]) AS key, count(DISTINCT f.confkey) AS columns, bool_or(f.conrelid = c.oid) AS itself,
         min(r.relname::text) FILTER (WHERE r.relrowsecurity OR cardinality(f.conkey) > 1
                                      OR NOT has_column_privilege(r.oid, f.conkey[1], 'SELECT')) AS hidden,
         array_agg(format('%I.%I', n.nspname, r.relname) ORDER BY f.oid) AS tables,
         array_agg(quote_ident(b.attname) ORDER BY f.oid) AS fields
  FROM pg_constraint f JOIN pg_class r ON r.oid = f.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
  JOIN pg_attribute b ON b.attrelid = f.conrelid AND b.attnum = f.conkey[1]
  WHERE f.confrelid = c.oid AND f.contype = 'f' AND f.conparentid = 0) AS k
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.key
WHERE c.oid = ANY (CAST(CAST(:tables AS text[]) AS regclass[]))"""


@dataclass(frozen=True)
class Freed:
    """A table that is erased without its triggers; a batch is kept only if nothing refers to what it removed.

    Most of the time of a DELETE is spent in the triggers of foreign keys, which look for each row alone. One look for a
    whole batch finds the same.
    """

    facts: str  # as they were when this was decided: a trigger or a key that is added later changes them
    key: str | None  # the quoted column that others refer to
    key_type: str | None
    referrers: tuple[tuple[str, str], ...]  # the quoted tables and columns that do

    def removing(self, remove: str) -> str:
        """A batch's DELETE; where others can refer to its rows, it counts rows and keys, and keeps the keys."""
        if self.key is None:
            return remove
        kept = f"set_config('{_REMOVED}', coalesce(string_agg(CAST(key AS text), {_BETWEEN}), ''), true)"
        return (
            f"WITH removed AS ({remove} RETURNING {self.key} AS key) SELECT count(*), count(key), {kept} FROM removed"
        )

    @property
    def look(self) -> str:
        """After a batch, in its transaction: is all as it was, how many keys are kept, how many rows refer to one?

        Not before: a transaction that writes a reference locks the row that it refers to. The batch has waited for it,
        and every later one waits for the batch.
        """
        is_same = f"(SELECT CAST(f AS text) FROM ({_FACTS}) AS f) = :facts"
        if self.key is None:
            return f"{is_same}, 0, 0"
        array = f"CAST(string_to_array(current_setting('{_REMOVED}'), {_BETWEEN}) AS {self.key_type}[])"
        # Counted: with EXISTS, the planner expects to end at the first of the rows that it thinks it will find.
        looks = [
            f"(SELECT count(*) FROM unnest({array}) AS k(key) JOIN {table} AS r ON r.{column} = k.key)"
            for table, column in self.referrers
        ]
        return f"{is_same}, cardinality({array}), {' + '.join(looks)}"


@dataclass(frozen=True)
class Triggers:
    """How the tables of a deletion are erased."""

    freed: dict[str, Freed]
    kept: dict[str, str]  # the other tables, and why
    may_be_off: bool  # whether the role may keep triggers from firing


def look(tenant: Tenant, tables: Iterable[Owned], *, always: bool) -> Triggers:
    """Which of the tables are erased without triggers; with `always`, none is."""
    names = [owned.table for owned in tables if owned.table != ROOT]
    may_be_off = may_set(tenant, "session_replication_role")
    if always or not may_be_off:
        why = N_("LETHE_ROW_TRIGGERS is always" if always else "Lethe's role may not keep triggers from firing")
        return Triggers({}, dict.fromkeys(names, why), may_be_off)
    query = f"SELECT f.*, CAST(f AS text) FROM ({_FACTS}) AS f"
    found = tenant.ask(query, {"tables": [tenant.table(name) for name in names]})
    freed = {
        name: Freed(facts, key and quote(key), key_type, tuple(zip(tables or (), fields or (), strict=True)))
        for name, kept, key, key_type, tables, fields, facts in found
        if kept is None
    }
    return Triggers(freed, {name: kept for name, kept, *_ in found if kept is not None}, may_be_off)


def kept_for_many(tenant: Tenant, counts: Mapping[str, int], *, always: bool) -> dict[str, str]:
    """The tables with many rows that keep their triggers, and why; few rows always keep them."""
    many = [owned for owned in tenant.plan().tables if counts.get(owned.table, 0) > FEW]
    return look(tenant, many, always=always).kept


def may_set(tenant: Tenant, parameter: str) -> bool:
    """Whether Lethe's role may set a parameter of PostgreSQL's that is a superuser's; it can be granted since 15."""
    query = (
        "SELECT rolsuper, CAST(current_setting('server_version_num') AS int) >= 150000"
        " FROM pg_roles WHERE rolname = current_user"
    )
    ((is_superuser, can_be_granted),) = tenant.ask(query, {})
    if is_superuser or not can_be_granted:
        return bool(is_superuser)
    ((granted,),) = tenant.ask("SELECT has_parameter_privilege(:parameter, 'SET')", {"parameter": parameter})
    return bool(granted)
