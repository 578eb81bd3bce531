"""What may hold an instance's data in Evolution's database and is not erased: looked up in the catalogue, and named."""

from collections.abc import Iterable, Iterator

from shared.database.models import Base
from shared.evolution.rows.schema import Plan, quote
from shared.evolution.rows.tenant import Tenant
from shared.translations.marks import N_

# Tables of Evolution, and Lethe's own, which may be in the same database.
_OF_NO_INSTANCE = ["IsOnWhatsapp", "_prisma_migrations", *Base.metadata.tables]
# Columns as Evolution's tables have them, in any spelling: a copy of some rows keeps their names.
_MARKS = ["instanceid", "instancename", "remotejid", "pushname", "messagetimestamp", "ownerjid"]
_MOST_NAMED = 10

# Over one of the tables, or over a view of it.
_MATERIALIZED_VIEWS = """
WITH RECURSIVE fed(oid) AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = :schema AND c.relname = ANY(:tables)
  UNION SELECT r.ev_class FROM fed f
  JOIN pg_depend d ON d.refobjid = f.oid AND d.refclassid = to_regclass('pg_catalog.pg_class')
  JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = to_regclass('pg_catalog.pg_rewrite') AND r.ev_type = '1')
SELECT n.nspname, c.relname FROM fed f JOIN pg_class c ON c.oid = f.oid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' ORDER BY 1, 2"""

# Not those of another deployment of Evolution, which has migrations of its own.
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND c.relname <> ALL(:of_no_instance)
  AND NOT (n.nspname = :schema AND c.relname = ANY(:tables))
  AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
              AND lower(replace(a.attname, '_', '')) = ANY(:marks))
  AND (n.nspname = :schema OR NOT EXISTS (SELECT 1 FROM pg_class e
       WHERE e.relnamespace = c.relnamespace AND e.relname = '_prisma_migrations'))
ORDER BY 1, 2"""

_SLOTS = """
SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical' AND database = current_database() ORDER BY 1"""


def find(tenant: Tenant, plan: Plan) -> list[str]:
    """Sentences; the same for every instance."""
    values = {
        "schema": tenant.schema,
        "tables": [owned.table for owned in plan.tables],
        "of_no_instance": _OF_NO_INSTANCE,
        "marks": _MARKS,
    }
    views, tables, slots = tenant.run([_MATERIALIZED_VIEWS, _TABLES, _SLOTS], values)
    return list(_said(_named(views), _named(tables), [quote(slot) for (slot,) in slots]))


def _named(found: Iterable[tuple[str, ...]]) -> list[str]:
    return [".".join(map(quote, row)) for row in found]


def _said(views: list[str], tables: list[str], slots: list[str]) -> Iterator[str]:
    if views:
        yield N_(f"materialized views, which keep their rows until they are refreshed: {_listed(views)}")
    if tables:
        yield N_(f"tables that look like copies of an instance's rows, and are not tied to it: {_listed(tables)}")
    if slots:
        yield N_(f"what logical replication slots have handed on: {_listed(slots)}")


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return f"{', '.join(names[:_MOST_NAMED])}{f' and {more} more' if more > 0 else ''}"
