"""The schemas of Evolution 2.0.10 to 2.3.6: every table is filled, and one of two instances is deleted."""

import json
from collections.abc import Callable
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from psycopg import Connection

from tests.integration.rehearsal.test_rehearsal import made, order
from tests.system import System

VERSIONS = sorted((Path(__file__).parent / "versions").glob("*.json"), key=lambda path: path.stem.split("."))
NOBODYS = {"IsOnWhatsapp"}


def create(connection: Connection[Any], facts: dict[str, Any]) -> None:
    """An empty database of this version, in place of what was there."""
    connection.execute("DROP SCHEMA public CASCADE")
    connection.execute("CREATE SCHEMA public")
    for name, values in facts["enums"].items():
        connection.execute(f'CREATE TYPE "{name}" AS ENUM ({", ".join(map(repr, values))})')
    for table, parts in facts["tables"].items():
        columns = ", ".join(
            f'"{column["name"]}" {column["type"]}'
            + (" NOT NULL" if column.get("not_null") else "")
            + (f" DEFAULT {column['default']}" if column.get("default") else "")
            for column in parts["columns"]
        )
        connection.execute(f'CREATE TABLE "{table}" ({columns})')
        for index in parts["indexes"]:
            listed = ", ".join(f'"{column}"' for column in index["columns"])
            if index.get("primary"):
                connection.execute(f'ALTER TABLE "{table}" ADD PRIMARY KEY ({listed})')
            else:
                connection.execute(f'CREATE {"UNIQUE" if index.get("unique") else ""} INDEX ON "{table}" ({listed})')
    for table, parts in facts["tables"].items():
        for key in parts["foreign_keys"]:
            connection.execute(
                f'ALTER TABLE "{table}" ADD FOREIGN KEY ("{key["column"]}") REFERENCES "{key["references"]}" (id)'
                f" ON DELETE {key['on_delete']} ON UPDATE CASCADE"
            )


def fill(connection: Connection[Any], facts: dict[str, Any], instance_id: str, name: str) -> None:
    """One row in each table, which refers to whatever it can refer to."""
    tables = facts["tables"]
    graph = {table: {key["references"] for key in tables[table]["foreign_keys"]} for table in tables}
    for table in TopologicalSorter(graph).static_order():
        keys = {key["column"]: key["references"] for key in tables[table]["foreign_keys"]}
        row: dict[str, Any] = {"id": f"{table}-{instance_id}"}
        for column in tables[table]["columns"]:
            if parent := keys.get(column["name"]):
                row[column["name"]] = instance_id if parent == "Instance" else f"{parent}-{instance_id}"
            elif column.get("not_null") and not column.get("default"):
                row.setdefault(column["name"], made_up(facts, column, instance_id))
        if table == "Instance":
            row |= {"id": instance_id, "name": name, "token": f"token of {name}"}
        columns = ", ".join(f'"{column}"' for column in row)
        connection.execute(
            f'INSERT INTO "{table}" ({columns}) VALUES ({", ".join(["%s"] * len(row))})', list(row.values())
        )


def made_up(facts: dict[str, Any], column: dict[str, Any], instance_id: str) -> Any:
    """A value that fits the column and is no other instance's."""
    kind = column["type"].strip('"')
    if kind in facts["enums"]:
        return facts["enums"][kind][0]
    fixed = {"integer": 1, "boolean": True, "jsonb": "{}", "date": "2026-01-01"}
    fixed["timestamp without time zone"] = "2026-01-01"
    return fixed.get(kind, f"{instance_id[:8]} {column['name']}"[:30])


def left(connection: Connection[Any], facts: dict[str, Any], instance_id: str) -> set[str]:
    """The tables in which the instance has a row."""
    return {
        table
        for table in facts["tables"]
        if connection.execute(f'SELECT 1 FROM "{table}" WHERE id LIKE %s', (f"%{instance_id}",)).fetchone()
    }


def test_every_version_is_erased_from_and_a_worker_outlives_its_migrations(
    make_system: Callable[..., System],
) -> None:
    """All rows of the one instance go, none of its neighbour's; the services are the same from version to version."""
    system = make_system()
    with made(system) as services:
        for number, path in enumerate(VERSIONS):
            facts = json.loads(path.read_text())
            mine, other = (f"{each}{number}00000-0000-4000-8000-000000000000" for each in ("aa", "bb"))
            with system.deployment.connect() as connection:
                create(connection, facts)
                fill(connection, facts, mine, f"mine {path.stem}")
                fill(connection, facts, other, f"other {path.stem}")

            outcome = order(services, mine, f"mine {path.stem}")

            with system.deployment.connect() as connection:
                found = left(connection, facts, mine), left(connection, facts, other)
            assert outcome == ("succeeded", None, ""), path.stem
            assert found == (NOBODYS & facts["tables"].keys(), set(facts["tables"])), path.stem
