"""Rows that name an instance which does not exist: possible only where no foreign key watches."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection, text

from shared.evolution import instance_ids
from shared.evolution.rows import throttle
from shared.evolution.rows.eraser import RowEraser
from shared.evolution.rows.replicas import Brake
from shared.evolution.rows.schema import OWNER_COLUMN, ROOT, quote
from shared.evolution.rows.tenant import Tenant
from shared.evolution.usage import Usage
from shared.services import Services

_STATEMENT_SECONDS = 60  # each table is read once, whole where it has no index

_UNWATCHED = text("""
SELECT c.relname, array(SELECT t.attname::text FROM pg_attribute t
                        WHERE t.attrelid = c.oid AND t.attname IN ('createdAt', 'updatedAt') AND NOT t.attisdropped
                          AND t.atttypid IN ('timestamp'::regtype, 'timestamptz'::regtype))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = :column AND NOT a.attisdropped
WHERE n.nspname = :schema AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND NOT EXISTS (SELECT 1 FROM pg_constraint k
                  WHERE k.conrelid = c.oid AND k.contype = 'f' AND a.attnum = ANY (k.conkey))
ORDER BY 1""")


@dataclass(frozen=True)
class Orphans:
    """The rows of one id that no instance has, in all tables."""

    held: Usage
    tables: tuple[str, ...]


def find(tenant: Tenant, ids: Collection[str] | None = None) -> dict[str, Orphans]:
    """Orphans by the id they name, where that has the form of one; of these ids, or of all."""
    found: dict[str, Orphans] = {}
    with tenant.transaction(statement_seconds=_STATEMENT_SECONDS) as connection:
        connection.execute(text("SET LOCAL TIME ZONE 'UTC'"))  # what Prisma writes, without saying so
        unwatched = connection.execute(_UNWATCHED, {"schema": tenant.schema, "column": OWNER_COLUMN}).all()
        for table, times in unwatched:
            for owner, held in _look(connection, tenant, table, times, ids):
                found[owner] = _add(found[owner], table, held) if owner in found else Orphans(held, (table,))
    return found


def _look(
    connection: Connection, tenant: Tenant, table: str, times: list[str], ids: Collection[str] | None
) -> Iterator[tuple[str, Usage]]:
    newest = f"max(greatest({', '.join(f't.{quote(each)}' for each in times)}))::timestamptz" if times else "NULL"
    owner = f"t.{quote(OWNER_COLUMN)}"
    of_these = f"{owner}::text = ANY(:ids)" if ids is not None else f"{owner}::text ~ :form"
    query = text(
        f"SELECT {owner}::text, count(*), sum(pg_column_size(t.*)), {newest} FROM {tenant.table(table)} t"
        f" WHERE NOT EXISTS (SELECT 1 FROM {tenant.table(ROOT)} i WHERE i.id = {owner}::text) AND {of_these}"
        " GROUP BY 1"
    )
    values = {"ids": list(ids or ()), "form": f"^{instance_ids.UUID_FORM.pattern}$"}
    for instance_id, number, size, time in connection.execute(query, values):
        yield instance_id, Usage(number, int(size), time)


def _add(orphans: Orphans, table: str, held: Usage) -> Orphans:
    before, times = orphans.held, (orphans.held.newest, held.newest)
    newest = None if times[0] is None or times[1] is None else max(times[0], times[1])
    total = Usage(before.number + held.number, before.size_bytes + held.size_bytes, newest)
    return replace(orphans, held=total, tables=(*orphans.tables, table))


def erase(services: Services, instance_id: str) -> int:
    """Erase all rows of the id, leaves first; returns how many."""
    removed: list[int] = []
    eraser = RowEraser(
        tenant=services.tenant,
        instance_id=instance_id,
        throttle=throttle.Watch(services.own, services.settings),
        report=lambda counts: removed.extend(counts.values()),
        stop=lambda: False,
        brake=Brake(services.replicas, services.settings.replica_lag_seconds),
        always_triggers=services.settings.row_triggers == "always",
    )
    eraser.erase([owned for owned in services.tenant.plan().tables if owned.table != ROOT])
    return sum(removed)
