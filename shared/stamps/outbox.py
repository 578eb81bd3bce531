"""Which documents wait for a time stamp: stored with them, tried again until the authority answers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.database import timing
from shared.database.connections import own_statement, own_transaction
from shared.database.models import Attestation, Receipt, Stamp
from shared.database.timing import from_now
from shared.settings import Settings
from shared.stamps.token import Verified

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 30, 900
_LEASE_SECONDS = 60


class Subject(StrEnum):
    """What is stamped."""

    RECEIPT = "receipt"
    ATTESTATION = "attestation"
    AUDIT_HEAD = "audit_head"


@dataclass(frozen=True)
class Stamped:
    """A document with its time stamp."""

    document: str
    token: bytes  # the authority's whole answer, DER
    chain: str  # PEM: the certificates above the authority's
    at: datetime  # by the authority's clock


def enqueue(
    connection: Connection, settings: Settings, subject: Subject, of: object, document: str | None = None
) -> None:
    """Ask for a stamp later, once, if LETHE_TIMESTAMP_URL is set. document: of the audit's head only."""
    if settings.timestamp_url is None:
        return
    row = insert(Stamp).values(id=_id(subject, of), document=document, next_try_at=func.now())
    connection.execute(row.on_conflict_do_nothing())


def find(engine: Engine, subject: Subject, of: object) -> Stamp | None:
    """What is known of the stamp of a document; None if none was asked for."""
    with own_statement(engine) as connection:
        row = connection.execute(select(Stamp.__table__).where(Stamp.id == _id(subject, of))).one_or_none()
    return Stamp(**row._mapping) if row else None


def newest_head(engine: Engine) -> Stamped | None:
    """The newest head of the audit that was stamped."""
    heads = select(Stamp.document, Stamp.token, Stamp.chain, Stamp.stamped_at).where(
        Stamp.id.startswith(f"{Subject.AUDIT_HEAD}:"), Stamp.token.is_not(None)
    )
    with own_statement(engine) as connection:
        row = connection.execute(heads.order_by(Stamp.id.desc()).limit(1)).one_or_none()
    return Stamped(*row) if row else None  # type: ignore[arg-type] # a stamp with a token has all


def has_head_of(engine: Engine, day: str) -> bool:
    """Whether a stamp of the audit's head was asked for on this day."""
    return find(engine, Subject.AUDIT_HEAD, day) is not None


def take_due(engine: Engine, limit: int) -> list[str]:
    """Reserve stamps that are due, for a minute; those with fewer tries first."""
    reserve, due_at = update(Stamp).values(next_try_at=from_now(_LEASE_SECONDS)), Stamp.next_try_at
    with own_transaction(engine) as connection:
        taken = timing.take_due(connection, reserve, due_at, Stamp.id, order=[Stamp.tries, due_at], limit=limit)
    return [row.id for row in taken]


def document_of(engine: Engine, stamp_id: str) -> str | None:
    """The document that is to be stamped."""
    subject, _, of = stamp_id.partition(":")
    query: Select[Any]
    if subject == Subject.RECEIPT:
        query = select(Receipt.document).where(Receipt.deletion_id == UUID(of))
    elif subject == Subject.ATTESTATION:
        query = select(Attestation.document).where(Attestation.id == UUID(of))
    else:
        query = select(Stamp.document).where(Stamp.id == stamp_id)
    with own_statement(engine) as connection:
        document: str | None = connection.scalar(query)
        return document


def store(engine: Engine, stamp_id: str, answer: bytes, verified: Verified) -> bool:
    """Store a verified answer; False when another process has stored one meanwhile."""
    row = update(Stamp).where(Stamp.id == stamp_id, Stamp.token.is_(None))
    change = row.values(
        token=answer,
        chain=verified.chain,
        stamped_at=verified.at,
        tries=Stamp.tries + 1,
        next_try_at=None,
        error=None,
    )
    with own_transaction(engine) as connection:
        return connection.execute(change).rowcount == 1


def put_off(engine: Engine, stamp_id: str, error: str) -> None:
    """Put off all that wait, for the authority is the same: the pause grows with the most tries of one of them."""
    waiting = Stamp.token.is_(None)
    tried = update(Stamp).where(Stamp.id == stamp_id, waiting).values(tries=Stamp.tries + 1, error=error)
    most = select(func.coalesce(func.max(Stamp.tries), 1)).where(waiting).scalar_subquery()
    pause = func.least(_FIRST_PAUSE_SECONDS * func.power(2, func.least(most - 1, 10)), _LONGEST_PAUSE_SECONDS)
    with own_transaction(engine) as connection:
        connection.execute(tried)
        connection.execute(update(Stamp).where(waiting).values(next_try_at=func.now() + pause * timedelta(seconds=1)))


def _id(subject: Subject, of: object) -> str:
    return f"{subject}:{of}"
