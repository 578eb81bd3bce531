"""The tables of the deployment's database: how they are made, and which of them an instance owns."""

from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

SCHEMA = Path(__file__).with_name("schema.sql")
# Columns that say whose row it is; every table but two calls it instanceId.
OWNER_COLUMNS = {"Instance": "id", "Session": "sessionId"}


@dataclass(frozen=True)
class Table:
    """One table: its primary key, and the column that holds its owner's id, if any."""

    name: str
    key: tuple[str, ...]
    owner: str | None


def create_schema(url: str) -> None:
    """Create Evolution's tables in an empty database."""
    with psycopg.connect(url) as connection:
        connection.execute(SCHEMA.read_bytes())


def tables(connection: psycopg.Connection) -> list[Table]:
    """Every table of the current schema, also those that a test has added."""
    return [
        Table(name, tuple(key), OWNER_COLUMNS.get(name, "instanceId" if has_instance_id else None))
        for name, key, has_instance_id in connection.execute(TABLES)
    ]


def count_owned(connection: psycopg.Connection, table: Table, instance_id: str) -> int:
    """How many rows of this table the instance owns."""
    assert table.owner
    count = sql.SQL("SELECT count(*) FROM {} WHERE {} = %s").format(
        sql.Identifier(table.name), sql.Identifier(table.owner)
    )
    found = connection.execute(count, (instance_id,)).fetchone()
    return int(found[0]) if found else 0


TABLES = """
SELECT relation.relname,
       ARRAY(SELECT attribute.attname::text
             FROM pg_index JOIN pg_attribute AS attribute
               ON attribute.attrelid = indrelid AND attribute.attnum = ANY (indkey)
             WHERE indrelid = relation.oid AND indisprimary
             ORDER BY attribute.attnum),
       EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = relation.oid AND attname = 'instanceId' AND NOT attisdropped)
FROM pg_class AS relation
WHERE relation.relnamespace = current_schema()::regnamespace AND relation.relkind IN ('r', 'p')
  AND NOT relation.relispartition
ORDER BY relation.relname
"""
