"""One batch of rows: found, deleted and checked in one transaction, with its triggers or without."""

from dataclasses import dataclass

from shared.evolution.rows.counting import guarded
from shared.evolution.rows.schema import Owned
from shared.evolution.rows.tenant import Tenant
from shared.evolution.rows.triggers import REMOVED, Freed

_FOUND = "lethe.found"  # a setting of the transaction: the places of the rows that were found
_LOCK_SECONDS = 5
_STATEMENT_SECONDS = 10


class Referenced(Exception):
    """Other rows refer to rows of the batch: it was rolled back, for their triggers have work to do."""


class Altered(Exception):
    """The table has got a trigger, a rule or a foreign key: the batch was rolled back."""


@dataclass(frozen=True)
class Deleted:
    """What a batch did: how many rows, and how long that took without finding them and without the commit."""

    rows: int
    seconds: float


def delete_some(tenant: Tenant, owned: Owned) -> str:
    """A statement that deletes up to :size rows of the instance :id with their triggers; for a rehearsal."""
    table, predicate = tenant.table(owned.table), guarded(owned)
    return (
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY("
        f"SELECT ctid FROM {table} WHERE {predicate} LIMIT :size)) AND {predicate}"
    )


def delete(tenant: Tenant, owned: Owned, where: str, values: dict[str, object], freed: Freed | None = None) -> Deleted:
    """Delete up to :size rows of instance :id that meet a further condition; raises Referenced and Altered.

    Everything that is set is set for this transaction alone: with PgBouncer the next one may be another client's.
    """
    table, predicate = tenant.table(owned.table), guarded(owned)
    settings = {
        "statement_timeout": f"{_STATEMENT_SECONDS}s",
        "lock_timeout": f"{_LOCK_SECONDS}s",
        "jit": "off",
        "row_security": "off",  # raises instead of hiding rows
        # With a LIMIT the planner likes to read a table from its beginning, where all is deleted already.
        **({"enable_seqscan": "off"} if owned.indexed else {}),
        **({"session_replication_role": "replica"} if freed else {}),
    }
    begin = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    # clock_timestamp: a search costs the same for few rows as for many, so it says nothing about how many fit.
    find = (
        f"SELECT set_config('{_FOUND}', coalesce(CAST(array_agg(ctid) AS text), '{{}}'), true),"
        f" set_config('enable_seqscan', 'on', true), clock_timestamp()"
        f" FROM (SELECT ctid FROM {table} WHERE {predicate}{where} LIMIT :size) AS found"
    )
    # IS TRUE keeps the planner from an index of the predicate, and the sub-select from reading the places for each row.
    places = f"ARRAY(SELECT unnest(CAST(current_setting('{_FOUND}') AS tid[])))"
    remove = f"DELETE FROM {table} WHERE ctid = ANY ({places}) AND ({predicate}) IS TRUE"
    same, unreferenced = "true", "true"
    if freed:
        same, unreferenced = freed.still_unreferenced
        values = {**values, "facts": freed.facts, "tables": [table]}
    if freed and freed.key:
        kept = f"set_config('{REMOVED}', coalesce(CAST(array_agg(key) AS text), '{{}}'), true)"
        remove = f"WITH removed AS ({remove} RETURNING {freed.key} AS key) SELECT count(*), {kept} FROM removed"
    # A look that reads a whole table, for want of an index, costs the same for few rows as well.
    end = "statement_timestamp()" if owned.searched else "clock_timestamp()"
    with tenant.trial([begin, find, remove, f"SELECT {same}, {unreferenced}, {end}"], values) as cursors:
        _, found, removed, checked = cursors
        began = found.fetchall()[0][2]
        is_same, is_unreferenced, ended = checked.fetchall()[0]
        if not is_same:
            raise Altered
        if not is_unreferenced:
            raise Referenced
        rows = removed.fetchall()[0][0] if freed and freed.key else removed.rowcount
    return Deleted(rows, (ended - began).total_seconds())
