"""Finds lines of the audit, newest first, a page at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, select
from sqlalchemy.orm import Session

from shared.audit.entries import Action, Decision
from shared.database.connections import translate_errors
from shared.database.models import AuditLine


@dataclass(frozen=True)
class Filters:
    """Which lines; what is None does not matter."""

    since: datetime | None = None
    until: datetime | None = None
    action: Action | None = None
    decision: Decision | None = None
    key_id: str | None = None
    deletion_id: UUID | None = None
    instance_id: str | None = None
    cursor: int | None = None  # only lines before this one
    limit: int = 50


@dataclass(frozen=True)
class Page:
    """Some lines, and the cursor for those that follow."""

    lines: list[AuditLine]
    next: int | None


def search(engine: Engine, wanted: Filters) -> Page:
    """The newest lines that are wanted."""
    query = select(AuditLine).where(*_conditions(wanted)).order_by(AuditLine.seq.desc()).limit(wanted.limit + 1)
    with translate_errors("the own database"), Session(engine, expire_on_commit=False) as session:
        found = list(session.scalars(query))
    lines = found[: wanted.limit]
    return Page(lines, lines[-1].seq if len(found) > wanted.limit else None)


def _conditions(wanted: Filters) -> Iterator[ColumnElement[bool]]:
    for name in ("action", "decision", "key_id", "deletion_id", "instance_id"):
        if (value := getattr(wanted, name)) is not None:
            yield getattr(AuditLine, name) == value
    if wanted.since:
        yield AuditLine.at >= wanted.since
    if wanted.until:
        yield AuditLine.at < wanted.until
    if wanted.cursor is not None:
        yield AuditLine.seq < wanted.cursor
