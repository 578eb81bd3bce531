"""One batch of rows: deleted and checked in one transaction, with its triggers or without."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.evolution.rows.counting import guarded
from shared.evolution.rows.schema import Owned
from shared.evolution.rows.tenant import Tenant
from shared.evolution.rows.triggers import Freed, may_set

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


def compression(tenant: Tenant) -> dict[str, str]:
    """What makes PostgreSQL compress the pages that a batch writes to its log, where Lethe's role may set it.

    Most of that log is whole pages, and a neighbour's COMMIT waits for what stands before its own. With lz4 the log
    is a third as long, and a batch takes no longer; with pglz it would take a third longer.
    """
    query = "SELECT setting = 'off' AND 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'wal_compression'"
    ((would_help,),) = tenant.ask(query, {})
    return {"wal_compression": "lz4"} if would_help and may_set(tenant, "wal_compression") else {}


def delete(
    tenant: Tenant,
    owned: Owned,
    where: str,
    values: dict[str, object],
    freed: Freed | None,
    further: Mapping[str, str],
) -> Deleted:
    """Delete up to :size rows of instance :id that meet a further condition; raises Referenced and Altered.

    Everything that is set is set for this transaction alone: with PgBouncer the next one may be another client's.
    """
    settings = {
        "statement_timeout": f"{_STATEMENT_SECONDS}s",
        "lock_timeout": f"{_LOCK_SECONDS}s",
        "jit": "off",
        # To look for a batch's keys, the planner would read an index from its beginning.
        "enable_mergejoin": "off",
        "max_parallel_workers_per_gather": "0",  # one core is enough for a deletion: the others are the neighbours'
        "row_security": "off",  # raises instead of hiding rows
        # With a LIMIT the planner likes to read a table from its beginning, where all is deleted already.
        **({"enable_seqscan": "off"} if owned.indexed else {}),
        **({"session_replication_role": "replica"} if freed else {}),
        **further,
    }
    begin = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    remove, look = delete_some(tenant, owned, where), "true, 0, 0"
    if freed:
        remove, look = freed.removing(remove), freed.look
        values = {**values, "facts": freed.facts, "tables": [tenant.table(owned.table)]}
    # A look that reads a whole table, for want of an index, costs the same for few rows as for many.
    end = "statement_timestamp()" if owned.searched else "clock_timestamp()"
    statements = [f"{begin}, clock_timestamp()", remove, f"SELECT {look}, {end}"]
    with tenant.trial(statements, values) as (begun, removed, looked):
        is_same, looked_for, referring, ended = looked.fetchall()[0]
        rows, keys = removed.fetchall()[0][:2] if freed and freed.key else (removed.rowcount, 0)
        if not is_same:
            raise Altered
        if referring or looked_for != keys:  # a key that cannot stand in such a text
            raise Referenced
        seconds = (ended - begun.fetchall()[0][-1]).total_seconds()
    return Deleted(rows, seconds)
