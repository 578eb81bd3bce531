"""The tenant database: finds instances, fences their row, reserves names, and erases rows in batches."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from shared import tenant_schema
from shared.database import reaching
from shared.errors import TransientError
from shared.tenant_schema import ROOT, quote

WHAT = "the tenant database"
_NOT_RESERVED = "NOT starts_with(id, 'lethe:')"  # a reserved name's row is nobody's instance
CHANNELS = ("Webhook", "Rabbitmq", "Nats", "Sqs", "Kafka", "Websocket", "Pusher")


@dataclass(frozen=True)
class Instance:
    """A row of "Instance", as far as Lethe reads it."""

    id: str
    name: str
    token: str | None


@dataclass(frozen=True)
class WebhookRow:
    """An instance's own webhook, as configured by its customer."""

    url: str
    headers: dict[str, str]
    events: list[str]
    by_events: bool


class Reservation:
    """A name that nobody can bear, for as long as its transaction is open, or longer when it is kept."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.kept = False

    def check(self) -> None:
        """Raise when the transaction's connection is gone, and the reservation with it."""
        self._connection.exec_driver_sql("SELECT 1")

    def keep(self) -> None:
        """Let it outlive the transaction, should that end now."""
        self.kept = True

    def let_go(self) -> None:
        """Nothing by name can come any more: the end of the transaction is its end."""
        self.kept = False


class Tenant:
    """Evolution's database; every statement that removes carries the instance's predicate."""

    def __init__(self, engine: Engine, schema: str) -> None:
        self.engine = engine
        self.schema = schema

    def table(self, name: str) -> str:
        """The quoted, schema-qualified name of a table."""
        return f"{quote(self.schema)}.{quote(name)}"

    @contextmanager
    def transaction(self, *, statement_seconds: float = 10, lock_seconds: float = 5) -> Iterator[Connection]:
        """A transaction whose statements and lock waits are bounded; driver errors are translated."""
        with reaching(WHAT), self.engine.begin() as connection:
            connection.execute(
                text(
                    "SELECT set_config('statement_timeout', :statement, true), set_config('lock_timeout', :lock, true)"
                ),
                {"statement": f"{int(statement_seconds * 1000)}", "lock": f"{int(lock_seconds * 1000)}"},
            )
            yield connection

    def find(self, *, name: str | None = None, instance_id: str | None = None) -> Instance | None:
        """The instance that bears the name, or has the id; None if there is none."""
        column, value = ("name", name) if name is not None else ("id", instance_id)
        if value is None or "\x00" in value:  # PostgreSQL text cannot hold NUL, so nobody is called that
            return None
        query = text(f"SELECT id, name, token FROM {self.table(ROOT)} WHERE {column} = :value AND {_NOT_RESERVED}")
        with self.transaction() as connection:
            row = connection.execute(query, {"value": value}).one_or_none()
        return Instance(*row) if row else None

    def knows_token(self, token: str) -> bool:
        """Whether some instance has this token."""
        if "\x00" in token:
            return False
        query = text(f"SELECT EXISTS (SELECT 1 FROM {self.table(ROOT)} WHERE token = :token)")
        with self.transaction() as connection:
            return bool(connection.execute(query, {"token": token}).scalar_one())

    def living(self, column: str, values: Iterable[str], *, besides: str) -> set[str]:
        """Those of the names (or ids) that another instance than `besides` (an id) bears now."""
        wanted = [value for value in values if "\x00" not in value]
        query = text(
            f"SELECT {quote(column)} FROM {self.table(ROOT)} WHERE {quote(column)} = ANY(:values)"
            f" AND id <> :besides AND {_NOT_RESERVED}"
        )
        if not wanted:
            return set()
        with self.transaction() as connection:
            return set(connection.execute(query, {"values": wanted, "besides": besides}).scalars())

    def neighbours(self, *, besides: str) -> list[str]:
        """The names of all other instances."""
        query = text(f"SELECT name FROM {self.table(ROOT)} WHERE id <> :besides AND {_NOT_RESERVED}")
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
    def reserving_name(self, name: str, deletion_id: UUID) -> Iterator["Reservation | None"]:
        """Keep the name from being borne: an uncommitted row, rolled back at the end; None when it is borne again.

        A reservation that was told to keep is committed instead: the row stays, in nobody's memory, until this
        deletion reserves the name again.
        """
        insert = text(
            f'INSERT INTO {self.table(ROOT)} (id, name, "clientName", "connectionStatus")'
            " VALUES (:id, :name, 'lethe:reserved', 'close') ON CONFLICT DO NOTHING"
        )
        row = {"id": f"lethe:{deletion_id}", "name": name}
        reservation: Reservation | None = None
        with self.transaction() as connection:
            connection.execute(text(f"DELETE FROM {self.table(ROOT)} WHERE id = :id"), row)
            savepoint = connection.begin_nested()
            if connection.execute(insert, row).rowcount == 1:
                reservation = Reservation(connection)
            elif self._is_reserved(connection, row):  # by a run of this deletion that was thought dead
                raise TransientError("the name is still reserved by an earlier run")
            problem: BaseException | None = None
            try:
                yield reservation
            except BaseException as error:  # also a time limit: what was asked of a gateway may still happen
                if not (reservation and reservation.kept):
                    raise
                problem = error
            if reservation and reservation.kept:
                savepoint.commit()
            else:
                savepoint.rollback()
        if problem:
            raise problem

    def _is_reserved(self, connection: Connection, row: dict[str, str]) -> bool:
        query = text(f"SELECT 1 FROM {self.table(ROOT)} WHERE id = :id AND name = :name")
        return connection.execute(query, row).scalar_one_or_none() is not None

    def fence(self, instance_id: str, deletion_id: UUID) -> bool:
        """Take name, token and channels from the row, so that no server knows it any more; False when it is gone."""
        rename = text(
            f"UPDATE {self.table(ROOT)} SET name = :fence, \"clientName\" = 'lethe:deleting', token = NULL,"
            " \"connectionStatus\" = 'close' WHERE id = :id"
        )
        with self.transaction() as connection:
            known = connection.execute(
                text(
                    "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
                    " WHERE nspname = :schema AND relname = ANY(:channels)"
                ),
                {"schema": self.schema, "channels": list(CHANNELS)},
            ).scalars()
            for channel in known.all():
                connection.execute(
                    text(f'UPDATE {self.table(channel)} SET enabled = false WHERE "instanceId" = :id'),
                    {"id": instance_id},
                )
            fenced = connection.execute(rename, {"id": instance_id, "fence": f"lethe:{deletion_id}"}).rowcount
        return fenced == 1

    def plan(self) -> tenant_schema.Plan:
        """Reflect the schema; raises Refused when a deletion could not be carried out safely."""
        with self.transaction() as connection:
            return tenant_schema.read_plan(connection, self.schema)
