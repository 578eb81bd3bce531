"""Webhooks that are kept until they are delivered: sealed in the own database, tried again with growing pauses."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.fernet import InvalidToken
from sqlalchemy import Connection, Engine, Row, bindparam, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from shared import encryption
from shared.audit import chain
from shared.audit.entries import Action, Decision, Entry
from shared.database.connections import own_statement, own_transaction
from shared.database.models import Deletion, WebhookEvent, WebhookStatus
from shared.database.timing import from_now
from shared.settings import Settings
from shared.webhooks import delivery
from shared.webhooks.events import Event

WITHDRAWN = "withdrawn"  # the error of what is not sent any more, for its deletion was cancelled
_ENDS = {None: Decision.DELIVERED} | dict.fromkeys(delivery.PERMANENT_FAILURES, Decision.REFUSED)
_FIRST_PAUSE_SECONDS = 30
_LONGEST_PAUSE_SECONDS = 3600
_OF_DELETION = (
    select(Deletion.instance_id)
    .where(Deletion.id == WebhookEvent.deletion_id)
    .correlate(WebhookEvent)
    .scalar_subquery()
)
_PENDING = (
    select(WebhookEvent.id)
    .where(WebhookEvent.deletion_id == bindparam("of_deletion"), WebhookEvent.status == WebhookStatus.PENDING)
    .order_by(WebhookEvent.target.desc())
)
_TOLD = (WebhookEvent.deletion_id, _OF_DELETION, WebhookEvent.target, WebhookEvent.tries)  # what the audit tells


@dataclass(frozen=True)
class Delivery:
    """What became of one webhook, for whoever may see its deletion."""

    target: str
    status: WebhookStatus
    tries: int
    next_try_at: datetime | None
    ended_at: datetime | None
    error: str | None


def delivery_of(event: WebhookEvent) -> Delivery:
    """As the row has it; one of an earlier version has forgotten why it was refused, but that was always the same."""
    refused = delivery.NOT_ALLOWED if event.status is WebhookStatus.REFUSED else None
    next_try_at = event.next_try_at if event.status is WebhookStatus.PENDING else None
    return Delivery(event.target, event.status, event.tries, next_try_at, event.ended_at, event.error or refused)


def store(engine: Engine, settings: Settings, deletion_id: UUID, events: Sequence[Event]) -> None:
    """Keep events before they are first tried; one that is kept already stays as it is."""
    sealed_with = encryption.cipher(settings)  # URL, headers and secret of a customer's webhook are personal
    with own_transaction(engine) as connection:
        for event in events:
            connection.execute(
                insert(WebhookEvent)
                .values(
                    id=event.id,
                    deletion_id=deletion_id,
                    target=event.target,
                    status=WebhookStatus.PENDING,
                    sealed=sealed_with.encrypt(json.dumps(asdict(event)).encode()),
                    next_try_at=from_now(_FIRST_PAUSE_SECONDS),  # who keeps it tries it at once
                )
                .on_conflict_do_nothing()
            )


def pending_ids(engine: Engine, deletion_id: UUID) -> list[str]:
    """Ids of the deletion's events that nobody has taken yet."""
    with own_statement(engine) as connection:
        return list(connection.scalars(_PENDING, {"of_deletion": deletion_id}))


def take_due(engine: Engine, limit: int) -> list[str]:
    """Ids of events whose pause is over, put off so that nobody else tries them now."""
    due = (
        select(WebhookEvent.id)
        .where(WebhookEvent.status == WebhookStatus.PENDING, WebhookEvent.next_try_at <= func.now())
        .order_by(WebhookEvent.next_try_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    with own_transaction(engine) as connection:
        return list(
            connection.scalars(
                update(WebhookEvent)
                .where(WebhookEvent.id.in_(due.scalar_subquery()))
                .values(next_try_at=from_now(_FIRST_PAUSE_SECONDS))
                .returning(WebhookEvent.id)
            )
        )


def try_to_deliver(engine: Engine, settings: Settings, event_id: str) -> str | None:
    """Send a kept event once, and write down how it went; None when it was taken, else why not."""
    with own_transaction(engine) as connection:
        sealed = connection.scalar(
            select(WebhookEvent.sealed).where(WebhookEvent.id == event_id, WebhookEvent.status == WebhookStatus.PENDING)
        )
    if sealed is None:
        return None
    try:
        event = Event(**json.loads(encryption.cipher(settings).decrypt(sealed)))
    except InvalidToken:
        failure: str | None = "sealed with another secret_key"
    else:
        failure = delivery.deliver(event, settings)
    _write_down(engine, event_id, failure)
    return failure


def _write_down(engine: Engine, event_id: str, failure: str | None) -> None:
    row = update(WebhookEvent).where(WebhookEvent.id == event_id, WebhookEvent.status == WebhookStatus.PENDING)
    if failure is None:
        change = row.values(
            status=WebhookStatus.DELIVERED, tries=WebhookEvent.tries + 1, sealed=None, ended_at=func.now(), error=None
        )
    elif failure in delivery.PERMANENT_FAILURES:  # nobody tries again what is not to be called, or cannot be
        change = row.values(status=WebhookStatus.REFUSED, sealed=None, ended_at=func.now(), error=failure)
    else:
        pause = func.least(
            _FIRST_PAUSE_SECONDS * func.power(2, func.least(WebhookEvent.tries, 10)), _LONGEST_PAUSE_SECONDS
        )
        change = row.values(
            tries=WebhookEvent.tries + 1, error=failure, next_try_at=func.now() + pause * timedelta(seconds=1)
        )
    with own_transaction(engine) as connection:
        ended = connection.execute(change.returning(*_TOLD)).all()
        decision = _ENDS.get(failure)
        if decision and ended:
            _tell(connection, decision, ended)


def _tell(connection: Connection, decision: Decision, events: Sequence[Row[Any]]) -> None:
    chain.append(connection, *(_line(decision, *tuple(event)) for event in events))


def _line(decision: Decision, deletion_id: UUID, instance_id: str, target: str, tries: int) -> Entry:
    reason = f"{target} webhook, tries: {tries}"
    return Entry(Action.WEBHOOK, decision, instance_id=instance_id, deletion_id=deletion_id, reason=reason)


def withdraw(connection: Connection, deletion_id: UUID) -> list[Entry]:
    """Send no more of a deletion that was cancelled: it would be untrue. Returns what the audit is to tell of it."""
    of_deletion = WebhookEvent.deletion_id == deletion_id, WebhookEvent.status == WebhookStatus.PENDING
    row = update(WebhookEvent).where(*of_deletion)
    change = row.values(status=WebhookStatus.EXPIRED, sealed=None, error=WITHDRAWN, ended_at=func.now())
    return [_line(Decision.CANCELLED, *tuple(event)) for event in connection.execute(change.returning(*_TOLD))]


def expire(engine: Engine, settings: Settings) -> int:
    """Give up events that were kept long enough: what they say is forgotten. Returns how many."""
    expired = literal(WebhookStatus.EXPIRED, WebhookEvent.status.type)
    with own_transaction(engine) as connection:
        events = connection.execute(
            update(WebhookEvent)
            .where(
                WebhookEvent.status == WebhookStatus.PENDING,
                WebhookEvent.created_at < from_now(-settings.webhook_keep_seconds),
            )
            .values(status=expired, sealed=None, ended_at=func.now())
            .returning(*_TOLD)
        ).all()
        if events:
            _tell(connection, Decision.EXPIRED, events)
    return len(events)
