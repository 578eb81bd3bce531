"""The tenant database: finds instances, fences their row, reserves names, and erases rows in batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Engine, text

from shared.database import connections, round_trips
from shared.database.connections import begin_with, translate_errors
from shared.database.round_trips import compiled as compiled
from shared.database.round_trips import limits
from shared.errors import LetheError, RefusedByServer, RequirementNotMet
from shared.evolution.rows import schema as tenant_schema
from shared.evolution.rows.schema import ROOT, quote

WHAT = "the tenant database"
NOT_RESERVED = "NOT starts_with(id, 'lethe:')"  # a reserved name's row is nobody's instance
_NOT_TOGETHER = ("0A000", "27000")  # feature_not_supported, triggered_data_change_violation
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


class ChangeIgnored(RequirementNotMet):
    """A trigger or rule of an operator's has dropped a change, or taken it back."""

    def __init__(self, table: str, changes: str) -> None:
        super().__init__(
            f'a trigger or rule on table "{table}" drops or reverts {changes} that PostgreSQL reports as done',
            "drop it, or let it pass for Lethe's role",
            "rows",
        )


@contextmanager
def may_look() -> Iterator[None]:
    """Raise RequirementNotMet where the role may not read the instances, or row-level security hides some."""
    try:
        yield
    except RefusedByServer as error:
        if getattr(error.__cause__, "sqlstate", None) != "42501":
            raise
        remedy = "grant it, or BYPASSRLS where row-level security applies to the role"
        raise RequirementNotMet(error.title, remedy, "row-security") from error


class Tenant:
    """Evolution's database; every statement that removes carries the instance's predicate."""

    def __init__(self, engine: Engine, schema: str) -> None:
        self.engine = engine
        self.schema = schema
        self._codec: str | None = None  # Python's name of the database's encoding
        self._plans: dict[str, tenant_schema.Plan] = {}
        self._channels: tuple[str | None, list[str]] | None = None  # of a plan

    def table(self, name: str) -> str:
        """The quoted, schema-qualified name of a table."""
        return f"{quote(self.schema)}.{quote(name)}"

    @contextmanager
    def transaction(
        self, *, statement_seconds: float = 10, lock_seconds: float = 5, isolation: str = ""
    ) -> Iterator[Connection]:
        """A transaction whose statements and lock waits are bounded; driver errors are translated."""
        level = [f"SET TRANSACTION ISOLATION LEVEL {isolation}"] if isolation else []
        settings = (*level, *map("SET LOCAL {0[0]} TO {0[1]}".format, limits(statement_seconds, lock_seconds).items()))
        with translate_errors(WHAT), begin_with(self.engine, "; ".join(settings)) as connection:
            yield connection

    def ask(self, query: str, values: Mapping[str, object], *, statement_seconds: float = 10) -> list[tuple[Any, ...]]:
        """What one query finds, in a transaction of its own and one round trip."""
        return self.run([query], values, statement_seconds)[0].fetchall()

    def run(
        self, statements: Sequence[str], values: Mapping[str, object], statement_seconds: float = 10
    ) -> list[psycopg.Cursor[tuple[Any, ...]]]:
        """Run statements in one transaction and one round trip; what each one found."""
        with translate_errors(WHAT):
            return round_trips.run(self.engine, limits(statement_seconds), statements, values)

    def change(
        self,
        changes: Sequence[str],
        values: Mapping[str, object],
        queries: Sequence[str] = (),
        statement_seconds: float = 10,
    ) -> tuple[list[int], list[tuple[Any, ...]]]:
        """Change tables in one statement: how many rows of each, and what queries after it find.

        What PostgreSQL refuses to do in one statement (with a rule on a table, or a trigger that changes rows of the
        same statement) goes in several.
        """
        parts = ", ".join(f"change_{at} AS ({change} RETURNING 1)" for at, change in enumerate(changes))
        counts = ", ".join(f"(SELECT count(*) FROM change_{at})" for at in range(len(changes)))
        try:
            together, *found = self.run([f"WITH {parts} SELECT {counts}", *queries], values, statement_seconds)
            rows = list(together.fetchall()[0])
        except LetheError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _NOT_TOGETHER:
                raise
            each = self.run([*changes, *queries], values, statement_seconds)
            rows, found = [cursor.rowcount for cursor in each[: len(changes)]], each[len(changes) :]
        return rows, [row for cursor in found for row in cursor]

    @contextmanager
    def trial(
        self, statements: Sequence[str], values: Mapping[str, object]
    ) -> Iterator[list[psycopg.Cursor[tuple[Any, ...]]]]:
        """Run statements in one round trip; the block may look at what they found, and rolls back by raising."""
        with translate_errors(WHAT), round_trips.driver_of(self.engine) as driver:
            with driver.pipeline():
                cursors = [driver.execute(compiled(statement), values) for statement in statements]
            yield cursors
            driver.commit()

    def can_hold(self, value: str) -> bool:
        """Whether the database's text type and its encoding can hold the value."""
        if value.isascii():
            return "\x00" not in value
        if self._codec is None:
            ((encoding,),) = self.ask("SHOW server_encoding", {})
            self._codec = connections.codec_of(encoding)
        try:
            value.encode(self._codec)
        except UnicodeEncodeError:
            return False
        return "\x00" not in value

    def find(self, *, name: str | None = None, instance_id: str | None = None) -> Instance | None:
        """The instance that bears the name, or has the id; None if there is none."""
        column, value = ("name", name) if name is not None else ("id", instance_id)
        if value is None or not self.can_hold(value):  # no instance is called that
            return None
        query = f"SELECT id, name, token FROM {self.table(ROOT)} WHERE {column} = :value AND {NOT_RESERVED}"
        with may_look():
            return next((Instance(*row) for row in self.ask(query, {"value": value})), None)

    def find_any(self) -> Instance | None:
        """Some instance; None if there is none."""
        query = f"SELECT id, name, token FROM {self.table(ROOT)} WHERE {NOT_RESERVED} LIMIT 1"
        return next((Instance(*row) for row in self.ask(query, {})), None)

    def knows_token(self, token: str) -> bool:
        """Whether some instance has this token."""
        if not self.can_hold(token):
            return False
        return bool(self.ask(f"SELECT 1 FROM {self.table(ROOT)} WHERE token = :token LIMIT 1", {"token": token}))

    def had_by_others(self, column: str, values: Iterable[str], *, besides: str) -> set[str]:
        """Those of the names (or ids) that another instance than `besides` (an id) bears now."""
        wanted = [value for value in values if self.can_hold(value)]
        query = (
            f"SELECT {quote(column)} FROM {self.table(ROOT)} WHERE {quote(column)} = ANY(:values)"
            f" AND id <> :besides AND {NOT_RESERVED}"
        )
        if not wanted:
            return set()
        return {value for (value,) in self.ask(query, {"values": wanted, "besides": besides})}

    def other_names(self, *, besides: str) -> list[str]:
        """The names of all other instances."""
        query = f"SELECT name FROM {self.table(ROOT)} WHERE id <> :besides AND {NOT_RESERVED}"
        return [name for (name,) in self.ask(query, {"besides": besides})]

    def webhook(self, instance_id: str, *, even_if_off: bool = False) -> WebhookRow | None:
        """The instance's webhook, if it is enabled, or was before Lethe switched it off."""
        query = (
            # As JSON: before Evolution 2.1.1 there were no headers.
            f"SELECT url, to_jsonb(w) -> 'headers', events, \"webhookByEvents\" FROM {self.table('Webhook')} w"
            ' WHERE "instanceId" = :id AND (enabled OR :even_if_off)'
        )
        for url, headers, events, by_events in self.ask(query, {"id": instance_id, "even_if_off": even_if_off}):
            kept = headers if isinstance(headers, dict) else {}
            asked = events if isinstance(events, list) else []
            return WebhookRow(url, {str(k): str(v) for k, v in kept.items()}, asked, bool(by_events))
        return None

    @contextmanager
    def holding_name(self, instance_id: str, name: str) -> Iterator[bool]:
        """Keep the name with its instance while something is done by name; False when it is not its name any more."""
        query = text(f"SELECT 1 FROM {self.table(ROOT)} WHERE id = :id AND name = :name FOR KEY SHARE")
        with self.transaction() as connection:
            yield connection.execute(query, {"id": instance_id, "name": name}).scalar() == 1

    def channels(self, instance_id: str) -> list[str]:
        """The tables of the channels on which the server sends the instance's events now."""
        known = self._channel_tables()
        query = " UNION ALL ".join(
            f"SELECT '{each}' FROM {self.table(each)} WHERE \"instanceId\" = :id AND enabled" for each in known
        )
        return [table for (table,) in self.ask(query, {"id": instance_id})] if known else []

    def switch_channels(self, instance_id: str, tables: Iterable[str], *, on: bool) -> None:
        """Switch the instance's channels on or off: the server reads them anew for each event."""
        there = self._ask_channel_tables() if on else CHANNELS  # what was switched off may be gone since
        if changes := [self.switch(each) for each in there if each in tables]:
            self.change(changes, {"id": instance_id, "on": on})

    def _channel_tables(self) -> list[str]:
        """Those of the last plan: a table that has come since has no row of an instance that is being deleted."""
        known = next(iter(self._plans), None)
        if self._channels is None or known is None or self._channels[0] != known:
            self._channels = known, self._ask_channel_tables()
        return self._channels[1]

    def _ask_channel_tables(self) -> list[str]:
        query = (
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = :schema AND relname = ANY(:channels)"
        )
        return [table for (table,) in self.ask(query, {"schema": self.schema, "channels": list(CHANNELS)})]

    def fence(self, instance_id: str, deletion_id: UUID) -> bool:
        """Take name, token and channels from the row, so that no server knows it any more; False when it is gone."""
        channels = self._channel_tables()
        changes = [*map(self.switch, channels), self.renaming()]
        checks = [*map(self.switched_otherwise, channels), self.not_renamed()]
        unchanged = " UNION ALL ".join(
            f"SELECT '{table}' WHERE EXISTS ({check})" for table, check in zip([*channels, ROOT], checks, strict=True)
        )
        rows, found = self.change(changes, self.fence_values(instance_id, deletion_id), [unchanged])
        for (table,) in found:
            raise ChangeIgnored(table, "updates")
        return rows[-1] == 1

    def renaming(self) -> str:
        """The fence's statement on the row itself."""
        return (
            f"UPDATE {self.table(ROOT)} SET name = :fence, \"clientName\" = 'lethe:deleting', token = NULL,"
            " \"connectionStatus\" = 'close' WHERE id = :id"
        )

    def not_renamed(self) -> str:
        """Finds the row where that statement has not changed all of it."""
        fenced = "(name, \"clientName\", \"connectionStatus\") = (:fence, 'lethe:deleting', 'close') AND token IS NULL"
        return f"SELECT 1 FROM {self.table(ROOT)} WHERE id = :id AND ({fenced}) IS NOT TRUE"

    def switch(self, channel: str) -> str:
        """The statement that switches a channel of the instance on or off."""
        return f'UPDATE {self.table(channel)} SET enabled = :on WHERE "instanceId" = :id'

    def fence_values(self, instance_id: str, deletion_id: UUID) -> dict[str, object]:
        """What these statements take."""
        return {"id": instance_id, "fence": f"lethe:{deletion_id}", "on": False}

    def switched_otherwise(self, channel: str) -> str:
        """Finds the rows that this statement has not changed."""
        return f'SELECT 1 FROM {self.table(channel)} WHERE "instanceId" = :id AND enabled IS DISTINCT FROM :on'

    def has_changed(self) -> bool:
        """Whether the tables are others than those of the last plan; forgets it then, so that it is True once."""
        changed = self._fingerprint() not in self._plans
        if changed:
            self.plan()
        return changed

    def _fingerprint(self) -> str:
        ((now,),) = self.ask(tenant_schema.FINGERPRINT, {"schema": self.schema, "column": tenant_schema.OWNER_COLUMN})
        return str(now)

    def last_plan(self) -> tenant_schema.Plan:
        """The plan that was last made; for what follows it at once."""
        return next(iter(self._plans.values()), None) or self.plan()

    def plan(self) -> tenant_schema.Plan:
        """What the schema makes of a deletion, as it is now; raises Refused when it could not be carried out safely."""
        now = self._fingerprint()
        plan = self._plans.get(now)
        if plan is None:
            with self.transaction() as connection:
                plan = tenant_schema.read_plan(connection, self.schema)
            self._plans = {now: plan}  # of one schema at a time: who migrates it migrates it once
        return plan
