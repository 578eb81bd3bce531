"""Looks for rows that refer to a row that is not there: what PostgreSQL's foreign-key triggers prevent."""

import psycopg
from psycopg import sql

# A key covers nothing that inherits from its two tables; of a partitioned table it covers all partitions.
_KEYS = """
SELECT k.conname::text, concat(CASE child.relkind WHEN 'r' THEN 'ONLY ' END, k.conrelid::regclass),
       concat(CASE parent.relkind WHEN 'r' THEN 'ONLY ' END, k.confrelid::regclass),
       array(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY c(n, i)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.n ORDER BY i)::text[],
       array(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY c(n, i)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = c.n ORDER BY i)::text[]
FROM pg_constraint k JOIN pg_class child ON child.oid = k.conrelid JOIN pg_class parent ON parent.oid = k.confrelid
WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY 1, 2"""


def dangling_references(database_url: str) -> dict[str, int]:
    """Every foreign key of the database that rows break, with the number of these rows."""
    with psycopg.connect(database_url) as connection:
        found = {name: _count(connection, *rest) for name, *rest in connection.execute(_KEYS).fetchall()}
    return {name: rows for name, rows in found.items() if rows}


def _count(connection: psycopg.Connection, child: str, parent: str, columns: list[str], referred: list[str]) -> int:
    pairs = [
        (sql.Identifier("c", one), sql.Identifier("p", other)) for one, other in zip(columns, referred, strict=True)
    ]
    query = sql.SQL("SELECT count(*) FROM {} c WHERE {} AND NOT EXISTS (SELECT FROM {} p WHERE {})").format(
        sql.SQL(child),  # type: ignore[arg-type]  # quoted by PostgreSQL
        sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(one) for one, _ in pairs),
        sql.SQL(parent),  # type: ignore[arg-type]
        sql.SQL(" AND ").join(sql.SQL("{} = {}").format(one, other) for one, other in pairs),
    )
    found = connection.execute(query).fetchone()
    assert found
    return int(found[0])
