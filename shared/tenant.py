"""The tenant database: finds instances, fences their row, reserves names, and erases rows in batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, LiteralString, cast
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from shared import tenant_schema
from shared.database import begin_with, reaching
from shared.errors import TransientError
from shared.tenant_schema import ROOT, quote

WHAT = "the tenant database"
NOT_RESERVED = "NOT starts_with(id, 'lethe:')"  # a reserved name's row is nobody's instance
CHANNELS = ("Webhook", "Rabbitmq", "Nats", "Sqs", "Kafka", "Websocket", "Pusher")


@dataclass(frozen=True)
class Instance:
    """A row of "Instance", as far as Lethe reads it."""

    id: str
    name: str
    token: str | None


@dataclass
class Reservation:
    """A name that nobody can bear, for as long as a block runs, or until the deletion comes again."""

    is_kept: bool = False

    def keep(self) -> None:
        """Let it outlive the block."""
        self.is_kept = True


@dataclass(frozen=True)
class WebhookRow:
    """An instance's own webhook, as configured by its customer."""

    url: str
    headers: dict[str, str]
    events: list[str]
    by_events: bool


_BOUNDS = "SELECT set_config('statement_timeout', '10s', true), set_config('lock_timeout', '5s', true)"
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


@cache
def _compiled(statement: str) -> LiteralString:
    """A statement with :names as the driver writes them."""
    return cast(LiteralString, text(statement).compile(dialect=_DIALECT).string)  # type: ignore[redundant-cast]


def _in_one_round_trip(connection: Connection, statements: Sequence[str], values: Mapping[str, object]) -> list[int]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.pipeline():
        cursors = [driver.execute(_compiled(statement), values) for statement in statements]
    return [cursor.rowcount for cursor in cursors]


class Tenant:
    """Evolution's database; every statement that removes carries the instance's predicate."""

    def __init__(self, engine: Engine, schema: str) -> None:
        self.engine = engine
        self.schema = schema
        self._plans: dict[str, tenant_schema.Plan] = {}

    def table(self, name: str) -> str:
        """The quoted, schema-qualified name of a table."""
        return f"{quote(self.schema)}.{quote(name)}"

    @contextmanager
    def transaction(self, *, statement_seconds: float = 10, lock_seconds: float = 5) -> Iterator[Connection]:
        """A transaction whose statements and lock waits are bounded; driver errors are translated."""
        settings = (
            f"SET LOCAL statement_timeout TO {int(statement_seconds * 1000)};"
            f" SET LOCAL lock_timeout TO {int(lock_seconds * 1000)}"
        )
        with reaching(WHAT), begin_with(self.engine, settings) as connection:
            yield connection

    def run_together(
        self, statements: Sequence[str], values: Mapping[str, object], *, statement_seconds: float
    ) -> list[int]:
        """Run statements in one transaction and one round trip; how many rows each one touched."""
        with self.transaction(statement_seconds=statement_seconds) as connection:
            return _in_one_round_trip(connection, statements, values)

    def pages(self, table: str) -> int:
        """How large a table is, in physical pages."""
        query = text("SELECT pg_relation_size(CAST(:table AS regclass)) / current_setting('block_size')::int")
        with self.transaction() as connection:
            return int(connection.execute(query, {"table": self.table(table)}).scalar_one())

    def can_hash_places(self) -> bool:
        """Whether rows can be dealt out by their place: PostgreSQL 14 or newer."""
        return (self.engine.dialect.server_version_info or (0,)) >= (14,)

    def find(self, *, name: str | None = None, instance_id: str | None = None) -> Instance | None:
        """The instance that bears the name, or has the id; None if there is none."""
        column, value = ("name", name) if name is not None else ("id", instance_id)
        if value is None or "\x00" in value:  # PostgreSQL text cannot hold NUL, so nobody is called that
            return None
        query = f"SELECT id, name, token FROM {self.table(ROOT)} WHERE {column} = :value AND {NOT_RESERVED}"
        row = self._look(query, {"value": value})
        return Instance(*row) if row else None

    def knows_token(self, token: str) -> bool:
        """Whether some instance has this token."""
        if "\x00" in token:
            return False
        query = f"SELECT 1 FROM {self.table(ROOT)} WHERE token = :token LIMIT 1"
        return self._look(query, {"token": token}) is not None

    def _look(self, query: str, values: Mapping[str, object]) -> tuple[Any, ...] | None:
        """The first row, with a transaction's bounds, in one round trip instead of three; None when there is none."""
        with reaching(WHAT), self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            with driver.pipeline():  # which is one transaction
                driver.execute(_BOUNDS)
                cursor = driver.execute(_compiled(query), values)
            return cursor.fetchone()

    def living(self, column: str, values: Iterable[str], *, besides: str) -> set[str]:
        """Those of the names (or ids) that another instance than `besides` (an id) bears now."""
        wanted = [value for value in values if "\x00" not in value]
        query = text(
            f"SELECT {quote(column)} FROM {self.table(ROOT)} WHERE {quote(column)} = ANY(:values)"
            f" AND id <> :besides AND {NOT_RESERVED}"
        )
        if not wanted:
            return set()
        with self.transaction() as connection:
            return set(connection.execute(query, {"values": wanted, "besides": besides}).scalars())

    def neighbours(self, *, besides: str) -> list[str]:
        """The names of all other instances."""
        query = text(f"SELECT name FROM {self.table(ROOT)} WHERE id <> :besides AND {NOT_RESERVED}")
        with self.transaction() as connection:
            return list(connection.execute(query, {"besides": besides}).scalars())

    def webhook(self, instance_id: str) -> WebhookRow | None:
        """The instance's webhook, if it is enabled."""
        query = text(
            f'SELECT url, headers, events, "webhookByEvents" FROM {self.table("Webhook")}'
            ' WHERE "instanceId" = :id AND enabled'
        )
        with self.transaction() as connection:
            row = connection.execute(query, {"id": instance_id}).one_or_none()
        if row is None:
            return None
        headers = row[1] if isinstance(row[1], dict) else {}
        events = row[2] if isinstance(row[2], list) else []
        return WebhookRow(row[0], {str(k): str(v) for k, v in headers.items()}, events, bool(row[3]))

    @contextmanager
    def holding_name(self, instance_id: str, name: str) -> Iterator[bool]:
        """Keep the name with its instance while something is done by name; False when it is not its name any more."""
        query = text(f"SELECT 1 FROM {self.table(ROOT)} WHERE id = :id AND name = :name FOR KEY SHARE")
        with self.transaction() as connection:
            yield connection.execute(query, {"id": instance_id, "name": name}).scalar() == 1

    @contextmanager
    def reserving_name(self, name: str, deletion_id: UUID) -> Iterator[Reservation | None]:
        """Keep the name from being borne while something is done by it; None when somebody bears it again.

        A committed row has the name, locked for as long as the block runs: a drop finds that row and nobody else's. It
        goes at the end; when the block raises or keeps it, or the process dies, it stays until that comes again.
        """
        row = {"id": f"lethe:{deletion_id}", "name": name}
        if not self._put_reservation(row):
            yield None
            return
        lock = text(f"SELECT 1 FROM {self.table(ROOT)} WHERE id = :id FOR UPDATE")
        with self.transaction() as connection:
            if connection.execute(lock, row).scalar_one_or_none() is None:
                raise TransientError("a late drop has erased the reservation of the name")
            reservation = Reservation()
            yield reservation
            if not reservation.is_kept:
                connection.execute(text(f"DELETE FROM {self.table(ROOT)} WHERE id = :id"), row)

    @contextmanager
    def holding_reservation(self, name: str, deletion_id: UUID) -> Iterator[bool]:
        """Hold on to the reservation of another deletion that waits, while something is done by its name."""
        query = text(f"SELECT 1 FROM {self.table(ROOT)} WHERE id = :id AND name = :name FOR KEY SHARE")
        with self.transaction() as connection:
            found = connection.execute(query, {"id": f"lethe:{deletion_id}", "name": name}).scalar_one_or_none()
            yield found is not None

    def _put_reservation(self, row: dict[str, str]) -> bool:
        insert = text(
            f'INSERT INTO {self.table(ROOT)} (id, name, "clientName", "connectionStatus")'
            " VALUES (:id, :name, 'lethe:reserved', 'close') ON CONFLICT DO NOTHING"
        )
        ours = text(f"SELECT 1 FROM {self.table(ROOT)} WHERE id = :id AND name = :name")
        with self.transaction() as connection:
            connection.execute(insert, row)
            return connection.execute(ours, row).scalar_one_or_none() is not None

    def fence(self, instance_id: str, deletion_id: UUID) -> bool:
        """Take name, token and channels from the row, so that no server knows it any more; False when it is gone."""
        known = text(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = :schema AND relname = ANY(:channels)"
        )
        rename = (
            f"UPDATE {self.table(ROOT)} SET name = :fence, \"clientName\" = 'lethe:deleting', token = NULL,"
            " \"connectionStatus\" = 'close' WHERE id = :id"
        )
        with self.transaction() as connection:
            channels = connection.execute(known, {"schema": self.schema, "channels": list(CHANNELS)}).scalars().all()
            disable = [f'UPDATE {self.table(each)} SET enabled = false WHERE "instanceId" = :id' for each in channels]
            values = {"id": instance_id, "fence": f"lethe:{deletion_id}"}
            return _in_one_round_trip(connection, [*disable, rename], values)[-1] == 1

    def plan(self) -> tenant_schema.Plan:
        """What the schema makes of a deletion, as it is now; raises Refused when it could not be carried out safely."""
        with self.transaction() as connection:
            now = tenant_schema.fingerprint(connection, self.schema)
            plan = self._plans.get(now)
            if plan is None:
                plan = tenant_schema.read_plan(connection, self.schema)
                self._plans = {now: plan}  # of one schema at a time: who migrates it migrates it once
            return plan
