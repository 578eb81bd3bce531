"""Tries the steps' statements on one row of each table, in one transaction that is rolled back."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg

from shared.database.connections import translate_errors
from shared.errors import LetheError, RequirementNotMet
from shared.evolution.rows import batch, counting
from shared.evolution.rows.rehearsal import guarantees, outside
from shared.evolution.rows.reservation import Reservation
from shared.evolution.rows.schema import ROOT, Owned, Plan
from shared.evolution.rows.tenant import CHANNELS, WHAT, ChangeIgnored, Tenant, compiled

_SECONDS, _STATEMENT_SECONDS, _LOCK_SECONDS = 1.0, 0.3, 0.1
_ENOUGH = 1_000  # rows up to which a table's are counted before and after
_PUT_OFF_SECONDS = 300
_IDLE_MILLISECONDS = 2_000
_SECTION = "rows"
# A table that is owned refers to the row: its other rows would be gone by then.
_HELD_BY_OTHERS = ("23503", "23001")
_NO_TIME = ("57014", "55P03", "40001", "40P01")
_WAITS = ("08", "53", "57P", "25006")

# The same as long as what was tried holds: a changed line of the catalogue has another xmin, which VACUUM leaves.
_FINGERPRINT = """
WITH tables AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :schema),
lines(kind, oid, line) AS (
  SELECT 1, c.oid, c.xmin FROM pg_class c JOIN tables USING (oid)
  UNION ALL SELECT 2, a.attrelid, a.xmin FROM pg_attribute a JOIN tables t ON t.oid = a.attrelid WHERE a.attnum > 0
  UNION ALL SELECT 3, k.oid, k.xmin FROM pg_constraint k WHERE k.contype <> 'n'
  UNION ALL SELECT 4, t.oid, t.xmin FROM pg_trigger t WHERE NOT t.tgisinternal
  UNION ALL SELECT 5, p.oid, p.xmin FROM pg_proc p WHERE p.oid >= 16384
  UNION ALL SELECT 6, r.oid, r.xmin FROM pg_rewrite r WHERE r.oid >= 16384
  UNION ALL SELECT 7, p.oid, p.xmin FROM pg_policy p
  UNION ALL SELECT 8, i.indexrelid, i.xmin FROM pg_index i JOIN tables t ON t.oid = i.indrelid
  UNION ALL SELECT 9, p.oid, p.xmin FROM pg_publication p
  UNION ALL SELECT 10, p.oid, p.xmin FROM pg_publication_rel p
  UNION ALL SELECT 11, r.oid, NULL FROM pg_roles r
    WHERE r.rolname = current_user AND (r.rolsuper OR r.rolbypassrls))
SELECT concat(current_user, ' ', count(*), ' ', sum(hashtextextended(concat_ws(' ', kind, oid, line), 0))) FROM lines"""


@dataclass
class _Known:
    """What is known of one state of the schema."""

    unfired: dict[str, str]  # tables whose rows are not tried, with the trigger that reaches outside
    tried: set[str] = field(default_factory=set)  # the statement
    worked: set[str] = field(default_factory=set)  # on a row
    put_off: dict[str, tuple[str, float]] = field(default_factory=dict)  # why it could not be tried, and until when

    def is_open(self, table: str) -> bool:
        """Whether a row of it is to be tried."""
        _, until = self.put_off.get(table, ("", 0.0))
        return table not in self.worked and table not in self.unfired and time.monotonic() >= until

    def untried(self) -> list[str]:
        """Sentences on what could not be tried, one for each reason."""
        unfired = {table: f"the trigger {name} reaches outside of the database" for table, name in self.unfired.items()}
        put_off = {table: why for table, (why, _) in self.put_off.items() if table not in self.worked}
        tables: dict[str, list[str]] = {}
        for table, why in {**unfired, **put_off}.items():
            tables.setdefault(why, []).append(f'"{table}"')
        return [f"not tried: {', '.join(sorted(each))}: {why}" for why, each in tables.items()]


@dataclass
class Rehearsal:
    """Remembers, until the schema changes, of which tables a row was tried."""

    _known: dict[str, _Known] = field(default_factory=dict)

    def rehearse(self, tenant: Tenant, instance_id: str) -> None:
        """Raise RequirementNotMet for what cannot work."""
        plan = tenant.plan()
        known = self._look(tenant, plan)
        guarantees.check_outside(tenant, plan, instance_id)
        if todo := _choose(tenant, plan, known, instance_id):
            _Trial(tenant, instance_id, known, time.monotonic() + _SECONDS).run(todo)

    def untried(self) -> list[str]:
        """What the last rehearsals could not try."""
        return [sentence for known in self._known.values() for sentence in known.untried()]

    def _look(self, tenant: Tenant, plan: Plan) -> _Known:
        ((now,),) = tenant.ask(_FINGERPRINT, {"schema": tenant.schema})
        if now not in self._known:
            guarantees.check(tenant, plan)
            with tenant.transaction() as connection:
                tables = [owned.table for owned in plan.tables]
                unfired = outside.find(connection, tenant.schema, tables, ROOT)
            self._known = {now: _Known(unfired)}
        return self._known[now]


def _choose(tenant: Tenant, plan: Plan, known: _Known, instance_id: str) -> list[Owned]:
    """Tables of which no row was tried: those with a row of the instance, and those not tried at all."""
    left = [owned for owned in plan.tables if known.is_open(owned.table)]
    if not left:
        return []
    have: list[str] = []
    with suppress(LetheError):  # it takes long: their rows are not tried
        have = counting.remaining(tenant, Plan(tuple(left), ()), instance_id, statement_seconds=_STATEMENT_SECONDS)
    return [owned for owned in left if owned.table in have or owned.table not in known.tried]


class _NotTried(Exception):
    """Why one table could not be tried."""


@dataclass
class _Trial:
    tenant: Tenant
    instance_id: str
    known: _Known
    ends: float  # time.monotonic()
    _driver: Any = None

    def run(self, todo: list[Owned]) -> None:
        """Try each, and the constraints that are deferred; raises RequirementNotMet."""
        put_off, worked = dict[str, str](), set[str]()
        with self._rolled_back():
            for owned in todo:
                act = self._fence if owned.table == ROOT else partial(self._delete_one, owned)
                try:
                    if self._try(owned.table, act):
                        worked.add(owned.table)
                except _NotTried as why:
                    put_off[owned.table] = str(why)
            try:
                self._try("", lambda: self._execute("SET CONSTRAINTS ALL IMMEDIATE"))
            except _NotTried as why:
                put_off |= dict.fromkeys(worked, str(why))
                worked.clear()
        until = time.monotonic() + _PUT_OFF_SECONDS
        self.known.put_off |= {table: (why, until) for table, why in put_off.items()}
        self.known.tried |= {owned.table for owned in todo}
        self.known.worked |= worked

    @contextmanager
    def _rolled_back(self) -> Iterator[None]:
        # In one snapshot, so that rows which a server writes meanwhile are not taken for ours that came back.
        with self.tenant.transaction(lock_seconds=_LOCK_SECONDS, isolation="REPEATABLE READ") as connection:
            self._driver = connection.connection.driver_connection
            # Of a worker that hangs: its locks on rows would hold up the server.
            self._driver.execute(f"SET LOCAL idle_in_transaction_session_timeout TO {_IDLE_MILLISECONDS}")
            try:
                yield
            finally:
                with suppress(psycopg.Error):  # a lost connection is rolled back by the server
                    self._driver.execute("ROLLBACK")

    def _try(self, table: str, act: Callable[[], object]) -> bool:
        """What act returns; raises _NotTried, or RequirementNotMet with the server's words."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise _NotTried("no time was left")
        bound = f"SET LOCAL statement_timeout TO {max(1, int(min(left, _STATEMENT_SECONDS) * 1000))}"
        self._driver.execute(f"SAVEPOINT rehearsal; {bound}")
        try:
            with translate_errors(WHAT):
                worked = act()
                self._driver.execute("RELEASE rehearsal")
        except LetheError as error:
            if isinstance(error.__cause__, psycopg.Error):
                self._judge(table, error, error.__cause__)
            raise
        return bool(worked)

    def _judge(self, table: str, error: LetheError, cause: psycopg.Error) -> None:
        """Raise what it means."""
        state = cause.sqlstate or "08"
        if state.startswith(_WAITS):
            return
        self._driver.execute("ROLLBACK TO rehearsal; RELEASE rehearsal")
        refers = (cause.diag.schema_name, cause.diag.table_name)
        if state in _HELD_BY_OTHERS and refers[0] == self.tenant.schema:
            raise _NotTried(f'rows of "{refers[1]}" refer to it') from error
        if state in _NO_TIME:
            raise _NotTried("it took too long, or another session held its rows") from error
        where = f'a rehearsed change of table "{table}"' if table else "a deferred constraint of the rehearsed changes"
        raise RequirementNotMet(
            f"{where} failed: {error.title}", "correct what is named there, or let Lethe's role pass", _SECTION
        ) from error

    def _delete_one(self, owned: Owned) -> bool:
        """Delete one row, and see that it is gone; whether there was one."""
        if owned.table in CHANNELS:
            self._change(owned.table, self.tenant.switch(owned.table), self.tenant.switched_otherwise(owned.table))
        before = self._count(owned)
        deleted = self._execute(batch.delete_some(self.tenant, owned), size=1).rowcount
        if before and not deleted:
            raise ChangeIgnored(owned.table, "deletes")
        if before <= _ENOUGH and self._count(owned) > before - deleted:
            raise ChangeIgnored(owned.table, "deletes")
        return bool(before)

    def _fence(self) -> bool:
        """Reserve a name and give it back, then fence the row; whether there is one."""
        reservation = Reservation(self.tenant, f"lethe:rehearsal:{uuid4()}", uuid4())
        row = f"SELECT 1 FROM {self.tenant.table(ROOT)} WHERE id = :id AND name = :name"
        for statement, action, rows in (
            (reservation.insertion(), "inserts", 1),
            (reservation.removal(), "deletes", 0),
        ):
            if self._execute(statement, reservation.values).rowcount != 1:
                raise ChangeIgnored(ROOT, action)
            if self._execute(row, reservation.values).rowcount != rows:
                raise ChangeIgnored(ROOT, action)
        return self._fence_row()

    def _fence_row(self) -> bool:
        is_there = f"SELECT 1 FROM {self.tenant.table(ROOT)} WHERE id = :id"
        if not self._execute(is_there).rowcount:
            return False
        self._change(ROOT, self.tenant.renaming(), self.tenant.not_renamed())
        return True

    def _change(self, table: str, change: str, unchanged: str) -> None:
        values = self.tenant.fence_values(self.instance_id, uuid4())
        self._execute(change, values)
        if self._execute(unchanged, values).rowcount:
            raise ChangeIgnored(table, "updates")

    def _count(self, owned: Owned) -> int:
        some = f"SELECT 1 FROM {self.tenant.table(owned.table)} WHERE {counting.guarded(owned)} LIMIT {_ENOUGH + 1}"
        return int(self._execute(f"SELECT count(*) FROM ({some}) AS few").fetchone()[0])

    def _execute(self, statement: str, values: dict[str, Any] | None = None, **more: object) -> Any:
        return self._driver.execute(compiled(statement), {"id": self.instance_id, **(values or {}), **more})
