"""A tenant database that writes statements down and answers them in turn."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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


@dataclass
class FakeTenant:
    """Writes statements down, and answers them in turn."""

    answers: list[Any] = field(default_factory=list)
    statements: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    table_pages: dict[str, int] = field(default_factory=dict)
    table_rows: dict[str, float] = field(default_factory=dict)
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
            pages, rows = self.table_pages, self.table_rows
            return Answer([(table, pages.get(table, 0), rows.get(table, 0)) for table in values["tables"]])
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

    def run_together(self, statements: Sequence[str], values: dict[str, Any], *, statement_seconds: float) -> list[int]:
        return [self.execute(statement, values).rowcount for statement in statements]

    def pages(self, table: str) -> int:
        return self.table_pages.get(table, 0)

    def can_hash_places(self) -> bool:
        return True
