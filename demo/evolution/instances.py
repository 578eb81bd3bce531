"""What the server does to rows: finds an instance by name, creates one, erases what one owns."""

import uuid
from dataclasses import dataclass

import psycopg
from psycopg import sql

from demo.evolution.database import tables


@dataclass(frozen=True)
class Row:
    """An instance as the server looks it up."""

    id: str
    token: str | None


def find(connection: psycopg.Connection, name: str) -> Row | None:
    """The instance that bears this name now."""
    found = connection.execute('SELECT id, token FROM "Instance" WHERE name = %s', (name,)).fetchone()
    return Row(*found) if found else None


def states(connection: psycopg.Connection, client_name: str) -> list[tuple[str, str, str]]:
    """Name, id and connection status of every instance that a server of this client name loads."""
    query = 'SELECT name, id, "connectionStatus"::text FROM "Instance" WHERE "clientName" = %s'
    return [(name, instance_id, status) for name, instance_id, status in connection.execute(query, (client_name,))]


def create(connection: psycopg.Connection, name: str, token: str, client_name: str) -> str:
    """Insert an instance; its id. Waits while another insert of the name is open; UniqueViolation if borne."""
    instance_id = str(uuid.uuid4())
    connection.execute(
        'INSERT INTO "Instance" (id, name, "connectionStatus", integration, token, "clientName", "updatedAt") '
        "VALUES (%s, %s, 'close', 'WHATSAPP-BAILEYS', %s, %s, now())",
        (instance_id, name, token, client_name),
    )
    return instance_id


def mark_closed(connection: psycopg.Connection, instance_id: str, name: str) -> None:
    """Write down that the instance is not connected, if it still bears this name."""
    connection.execute(
        'UPDATE "Instance" SET "connectionStatus" = \'close\' WHERE id = %s AND name = %s', (instance_id, name)
    )


def erase(connection: psycopg.Connection, instance_id: str) -> None:
    """Delete the instance's rows table by table, its own row last; no transaction holds them together."""
    owned = [table for table in tables(connection) if table.owner]
    # A RESTRICT rule makes OpenaiSetting go before OpenaiCreds; the Instance row says that all is over.
    for table in sorted(owned, key=lambda table: (table.name == "Instance", table.name != "OpenaiSetting")):
        assert table.owner
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE {} = %s").format(sql.Identifier(table.name), sql.Identifier(table.owner)),
            (instance_id,),
        )
