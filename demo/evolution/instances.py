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
    """The instance that has this name now."""
    found = connection.execute('SELECT id, token FROM "Instance" WHERE name = %s', (name,)).fetchone()
    return Row(*found) if found else None


def states(connection: psycopg.Connection, client_name: str) -> list[tuple[str, str, str]]:
    """Name, id and connection status of every instance that a server of this client name loads."""
    query = 'SELECT name, id, "connectionStatus"::text FROM "Instance" WHERE "clientName" = %s'
    return [(name, instance_id, status) for name, instance_id, status in connection.execute(query, (client_name,))]


def create(connection: psycopg.Connection, name: str, token: str, client_name: str) -> str:
    """Insert an instance; its id. Waits while another insert of the name is open; UniqueViolation if it is taken."""
    instance_id = str(uuid.uuid4())
    connection.execute(
        'INSERT INTO "Instance" (id, name, "connectionStatus", integration, token, "clientName", "updatedAt") '
        "VALUES (%s, %s, 'close', 'WHATSAPP-BAILEYS', %s, %s, now())",
        (instance_id, name, token, client_name),
    )
    return instance_id


def mark_closed(connection: psycopg.Connection, name: str) -> str | None:
    """Write down that the instance which has this name is not connected; its id."""
    query = 'UPDATE "Instance" SET "connectionStatus" = \'close\' WHERE name = %s RETURNING id'
    found = connection.execute(query, (name,)).fetchone()
    return str(found[0]) if found else None


def webhook_url(connection: psycopg.Connection, instance_id: str, event: str) -> str | None:
    """Where the instance wants this event now, if anywhere; an empty list of events is all of them."""
    query = (
        'SELECT url FROM "Webhook" WHERE "instanceId" = %s AND enabled'
        " AND (jsonb_array_length(events) = 0 OR events ? %s)"
    )
    found = connection.execute(query, (instance_id, event)).fetchone()
    return str(found[0]) if found else None


def owned_tables(connection: psycopg.Connection) -> list[tuple[str, str]]:
    """The tables with an instance's rows, each with its owner column, in an order that RESTRICT allows."""
    owned = [(table.name, table.owner) for table in tables(connection) if table.owner and table.name != "Instance"]
    return sorted(owned, key=lambda each: each[0] != "OpenaiSetting")


def erase_rows(connection: psycopg.Connection, table: str, column: str, instance_id: str) -> None:
    """Delete the instance's rows of one table; no transaction holds the tables together."""
    statement = sql.SQL("DELETE FROM {} WHERE {} = %s").format(sql.Identifier(table), sql.Identifier(column))
    connection.execute(statement, (instance_id,))


def erase_by_name(connection: psycopg.Connection, name: str) -> None:
    """Delete the row of the instance that has this name now, whichever it is."""
    connection.execute('DELETE FROM "Instance" WHERE name = %s', (name,))
