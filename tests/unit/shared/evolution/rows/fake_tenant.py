"""A tenant database that writes statements down and answers them in turn."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.evolution.rows.schema import ForeignKey, Owned

BOUND = Owned("Chat", '"instanceId" = :id', True)


WEBHOOK = Owned("Webhook", '"instanceId" = :id', True)


KEY = ForeignKey("k", "public", "Reaction", ("messageId",), "Message", ("id",), "c", False)


@dataclass
class Answer:
    """What a statement gave."""

    value: Any

    @property
    def rowcount(self) -> int:
        return int(self.value)

    def all(self) -> Any:
        return self.value

    def fetchall(self) -> Any:
        return self.value


@dataclass
class FakeTenant:
    """Writes statements down, and answers them in turn."""

    answers: list[Any] = field(default_factory=list)
    statements: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)  # of each batch
    table_pages: dict[str, int] = field(default_factory=dict)
    free: set[str] = field(default_factory=set)  # tables that go without their triggers
    seconds_a_batch: float = 0.1
    schema: str = "public"
    denied: set[tuple[str, str]] = field(default_factory=set)

    def table(self, name: str) -> str:
        return f'"public"."{name}"'

    @contextmanager
    def transaction(self, **_: float) -> Iterator["FakeTenant"]:
        yield self

    def execute(self, statement: Any, values: dict[str, Any]) -> Answer:
        self.statements.append((str(statement), values))
        if "tables" in values and "schema" in values:
            return Answer([(table, self.table_pages.get(table, 0)) for table in values["tables"]])
        if "wal_compression" in str(statement):
            return Answer([(True,)])
        if "rolsuper" in str(statement):
            return Answer([(True, True)])
        if "tables" in values and "pg_trigger" in str(statement):
            names = [table.rpartition(".")[2].strip('"') for table in values["tables"]]
            return Answer([(n, None if n in self.free else "why", None, None, [], [], "facts") for n in names])
        if "rights" in values:
            asked = list(zip(values["tables"], values["rights"], strict=True))
            return Answer([(at,) for at, pair in enumerate(asked, 1) if pair in self.denied])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer)

    def ask(self, query: str, values: dict[str, Any], **_: float) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.execute(query, values).all()
        return rows

    def run(self, statements: Sequence[str], values: dict[str, Any], statement_seconds: float) -> list["Answer"]:
        return [self.execute(statement, values) for statement in statements]

    def change(
        self, changes: Sequence[str], values: dict[str, Any], *, statement_seconds: float
    ) -> tuple[list[int], list[Any]]:
        return [each.rowcount for each in self.run(changes, values, statement_seconds)], []

    @contextmanager
    def trial(self, statements: Sequence[str], values: dict[str, Any]) -> Iterator[list["Answer"]]:
        """An answer is a number of rows, an error to raise, or (is all as it was, does nothing refer to a row)."""
        began = datetime(2026, 1, 1, tzinfo=UTC)
        ended = began + timedelta(seconds=self.seconds_a_batch)
        self.settings.append(statements[0])
        found = self.execute(statements[1], values).value
        same, unreferenced = found if isinstance(found, tuple) else (True, True)
        rows = 0 if isinstance(found, tuple) else found
        yield [Answer([(None, began)]), Answer(rows), Answer([(same, 0, int(not unreferenced), ended)])]
