"""What a deletion relies on in Evolution's database and cannot see from a row: looked up in the catalogue."""

from shared.errors import LetheError, RequirementNotMet
from shared.evolution.rows.counting import check_rights, guarded
from shared.evolution.rows.schema import OWNER_COLUMN, ROOT, OutsideKey, Plan, quote
from shared.evolution.rows.tenant import Tenant

_PAGE_OF_ROWS = "rows"
_COUNT_SECONDS = 5
_ROOT_COLUMNS = ("id", "name")

_UNIQUE = """
SELECT a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE n.nspname = :schema AND c.relname = :root AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indnkeyatts = 1 AND i.indpred IS NULL AND i.indexprs IS NULL"""

_OF_TABLES = """
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relname = ANY(:tables)"""

_HIDDEN = f"SELECT c.relname, quote_ident(current_user) {_OF_TABLES} AND row_security_active(c.oid) ORDER BY 1"

# Without a replica identity, PostgreSQL refuses to delete from a table whose deletes are published.
_UNIDENTIFIED = f"""
SELECT c.relname, min(p.pubname) {
    _OF_TABLES.replace(
        "WHERE",
        '''
JOIN pg_publication_tables t ON t.schemaname = n.nspname AND t.tablename = c.relname
JOIN pg_publication p ON p.pubname = t.pubname WHERE''',
    )
}
  AND (p.pubdelete OR (p.pubupdate AND c.relname = ANY(:updated)))
  AND (c.relreplident = 'n' OR c.relreplident = 'd'
       AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary))
GROUP BY 1 ORDER BY 1"""

_TYPES = f"""
SELECT c.relname, format_type(a.atttypid, NULL) {
    _OF_TABLES.replace(
        "WHERE",
        '''
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = :column AND NOT a.attisdropped
JOIN pg_type y ON y.oid = a.atttypid WHERE''',
    )
}
  AND coalesce(nullif(y.typbasetype, 0), y.oid) NOT IN (SELECT oid FROM pg_type WHERE typcategory = 'S')
  AND y.typname <> 'uuid'"""


def check(tenant: Tenant, plan: Plan) -> None:
    """Raise RequirementNotMet, or Refused for a missing right; the same for every instance."""
    tables = [owned.table for owned in plan.tables]
    values = {"schema": tenant.schema, "tables": tables, "root": ROOT, "column": OWNER_COLUMN, "updated": tables}
    check_rights(tenant, plan)
    for table, role in tenant.ask(_HIDDEN, values):
        raise RequirementNotMet(
            f'row-level security hides rows of "{table}" from Lethe\'s role',
            f"let a superuser run ALTER ROLE {role} BYPASSRLS",
            "row-security",
        )
    unique = {column for (column,) in tenant.ask(_UNIQUE, values)}
    for column in _ROOT_COLUMNS:
        if column not in unique:
            raise RequirementNotMet(
                f'no valid unique index keeps two rows of "{ROOT}" from having one {column}',
                f"remove duplicates, then CREATE UNIQUE INDEX ON {tenant.table(ROOT)} ({quote(column)})",
                _PAGE_OF_ROWS,
            )
    for table, kind in tenant.ask(_TYPES, values):
        raise RequirementNotMet(
            f'column "{OWNER_COLUMN}" of table "{table}" is of type {kind}, which holds no instance\'s id',
            "give it the type text, or another name if it means something else",
            _PAGE_OF_ROWS,
        )
    for table, publication in tenant.ask(_UNIDENTIFIED, values):
        raise RequirementNotMet(
            f'publication "{publication}" covers table "{table}", which has no replica identity:'
            " PostgreSQL refuses to delete from it",
            f"give it a primary key, or run ALTER TABLE {tenant.table(table)} REPLICA IDENTITY FULL",
            _PAGE_OF_ROWS,
        )


def check_outside(tenant: Tenant, plan: Plan, instance_id: str) -> None:
    """Raise RequirementNotMet while rows of another schema refer to the instance's rows, with their number."""
    for key in plan.outside:
        child = f"{quote(key.key.schema)}.{quote(key.key.child)}"
        try:
            counting = _counting(tenant, key, child)
            ((number,),) = tenant.ask(counting, {"id": instance_id}, statement_seconds=_COUNT_SECONDS)
        except LetheError as error:
            if getattr(error.__cause__, "sqlstate", None) != "42501":
                raise
            raise RequirementNotMet(
                f'{child}, in another schema, refers to "{key.parent.table}" (foreign key "{key.key.name}"),'
                f" and Lethe's role may not read it ({error.title})",
                f"GRANT SELECT ON {child}, and USAGE on its schema",
                _PAGE_OF_ROWS,
            ) from error
        if number:
            raise RequirementNotMet(
                f'{number} rows of {child}, in another schema, refer to this instance\'s rows in "{key.parent.table}"'
                f' (foreign key "{key.key.name}")',
                "remove them first: Lethe erases rows of Evolution's schema only",
                _PAGE_OF_ROWS,
            )


def _counting(tenant: Tenant, outside: OutsideKey, child: str) -> str:
    columns, parent_columns = (
        ", ".join(map(quote, each)) for each in (outside.key.columns, outside.key.parent_columns)
    )
    return (
        f"SELECT count(*) FROM {child} WHERE ({columns}) IN"
        f" (SELECT {parent_columns} FROM {tenant.table(outside.parent.table)} WHERE {guarded(outside.parent)})"
    )
