"""Searches the audit: newest lines first, page by page."""

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
    """Which lines to find; None filters nothing."""

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
    """One page of lines, and the cursor of the next page."""

    lines: list[AuditLine]
    next: int | None


def search(engine: Engine, filters: Filters) -> Page:
    """The newest lines that pass the filters."""
    query = select(AuditLine).where(*_conditions(filters)).order_by(AuditLine.seq.desc()).limit(filters.limit + 1)
    with translate_errors("the own database"), Session(engine, expire_on_commit=False) as session:
        found = list(session.scalars(query))
    lines = found[: filters.limit]
    return Page(lines, lines[-1].seq if len(found) > filters.limit else None)


def _conditions(filters: Filters) -> Iterator[ColumnElement[bool]]:
    for name in ("action", "decision", "key_id", "deletion_id", "instance_id"):
        if (value := getattr(filters, name)) is not None:
            yield getattr(AuditLine, name) == value
    if filters.since:
        yield AuditLine.at >= filters.since
    if filters.until:
        yield AuditLine.at < filters.until
    if filters.cursor is not None:
        yield AuditLine.seq < filters.cursor
