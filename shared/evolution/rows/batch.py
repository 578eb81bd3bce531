"""One batch of rows: deleted and checked in one transaction, with its triggers or without."""

from dataclasses import dataclass

from shared.evolution.rows.counting import guarded
from shared.evolution.rows.schema import Owned
from shared.evolution.rows.tenant import Tenant
from shared.evolution.rows.triggers import REMOVED, Freed

_LOCK_SECONDS = 5
_STATEMENT_SECONDS = 10


class Referenced(Exception):
    """Other rows refer to rows of the batch: it was rolled back, for their triggers have work to do."""


class Altered(Exception):
    """The table has got a trigger, a rule or a foreign key: the batch was rolled back."""


@dataclass(frozen=True)
class Deleted:
    """What a batch did: its rows, and how long these took."""

    rows: int
    seconds: float  # without what a batch of one row would take as well: the commit, and reading a table without index


def delete_some(tenant: Tenant, owned: Owned, where: str = "") -> str:
    """A statement that deletes up to :size rows of the instance :id that meet a further condition."""
    table, predicate = tenant.table(owned.table), guarded(owned)
    # IS TRUE keeps the planner from using an index of the predicate for the outer search, too.
    return (
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY("
        f"SELECT ctid FROM {table} WHERE {predicate}{where} LIMIT :size)) AND ({predicate}) IS TRUE"
    )


def delete(tenant: Tenant, owned: Owned, where: str, values: dict[str, object], freed: Freed | None = None) -> Deleted:
    """Delete up to :size rows of instance :id that meet a further condition; raises Referenced and Altered.

    Everything that is set is set for this transaction alone: with PgBouncer the next one may be another client's.
    """
    settings = {
        "statement_timeout": f"{_STATEMENT_SECONDS}s",
        "lock_timeout": f"{_LOCK_SECONDS}s",
        "jit": "off",
        # To look for a batch's keys, the planner would read an index from its beginning, and on several cores.
        "enable_mergejoin": "off",
        **({} if owned.searched else {"max_parallel_workers_per_gather": "0"}),
        "row_security": "off",  # raises instead of hiding rows
        # With a LIMIT the planner likes to read a table from its beginning, where all is deleted already.
        **({"enable_seqscan": "off"} if owned.indexed else {}),
        **({"session_replication_role": "replica"} if freed else {}),
    }
    begin = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    remove, look = delete_some(tenant, owned, where), "true, true"
    if freed:
        look = ", ".join(freed.still_unreferenced)
        values = {**values, "facts": freed.facts, "tables": [tenant.table(owned.table)]}
    if freed and freed.key:
        kept = f"set_config('{REMOVED}', coalesce(CAST(array_agg(key) AS text), '{{}}'), true)"
        remove = f"WITH removed AS ({remove} RETURNING {freed.key} AS key) SELECT count(*), {kept} FROM removed"
    # A look that reads a whole table, for want of an index, costs the same for few rows as for many.
    end = "statement_timestamp()" if owned.searched else "clock_timestamp()"
    statements = [f"{begin}, clock_timestamp()", remove, f"SELECT {look}, {end}"]
    with tenant.trial(statements, values) as (begun, removed, looked):
        is_same, is_unreferenced, ended = looked.fetchall()[0]
        if not is_same:
            raise Altered
        if not is_unreferenced:
            raise Referenced
        rows = removed.fetchall()[0][0] if freed and freed.key else removed.rowcount
        seconds = (ended - begun.fetchall()[0][-1]).total_seconds()
    return Deleted(rows, seconds)
