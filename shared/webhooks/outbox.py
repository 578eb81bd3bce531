"""Stores webhooks, encrypted, until they are delivered; sends them again with exponential backoff."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from cryptography.fernet import InvalidToken
from sqlalchemy import Connection, Engine, Row, bindparam, func, literal, select, update
from sqlalchemy.dialects import postgresql

from shared.audit import chain
from shared.audit.entries import Action, Decision, Entry
from shared.database import encryption, timing
from shared.database.connections import own_statement, own_transaction
from shared.database.models import Deletion, WebhookEvent, WebhookStatus
from shared.database.timing import after_growing_pause, from_now
from shared.settings import Settings
from shared.webhooks import delivery
from shared.webhooks.events import OPERATOR, Event

WITHDRAWN = "withdrawn"  # the error of a webhook that was expired because its deletion was cancelled
_DECISIONS = {None: Decision.DELIVERED} | dict.fromkeys(delivery.PERMANENT_FAILURES, Decision.REFUSED)
_FIRST_BACKOFF_SECONDS = 30
_MAX_BACKOFF_SECONDS = 3600
_RESERVED_SECONDS = 30  # for the process that sends an event now; then another one may send it
_INSTANCE_ID = (
    select(Deletion.instance_id)
    .where(Deletion.id == WebhookEvent.deletion_id)
    .correlate(WebhookEvent)
    .scalar_subquery()
)
_AS_SENT = WebhookEvent.target.desc(), WebhookEvent.id.desc()  # remove.instance before instance.delete
_PENDING = (
    select(WebhookEvent.id)
    .where(WebhookEvent.deletion_id == bindparam("of_deletion"), WebhookEvent.status == WebhookStatus.PENDING)
    .where(WebhookEvent.target != OPERATOR)
    .order_by(*_AS_SENT)
)
_AUDITED = (WebhookEvent.deletion_id, _INSTANCE_ID, WebhookEvent.target, WebhookEvent.tries)


@dataclass(frozen=True)
class Delivery:
    """The delivery state of one webhook, as the API and the CLI show it."""

    target: str  # "instance", "global" or "operator"
    status: WebhookStatus
    tries: int  # without the one that failed permanently
    next_try_at: datetime | None
    ended_at: datetime | None
    error: str | None


def delivery_of(event: WebhookEvent) -> Delivery:
    """The state of a webhook. Rows of an earlier version have no error when refused: it was always NOT_ALLOWED."""
    refused = delivery.NOT_ALLOWED if event.status is WebhookStatus.REFUSED else None
    next_try_at = event.next_try_at if event.status is WebhookStatus.PENDING else None
    return Delivery(event.target, event.status, event.tries, next_try_at, event.ended_at, event.error or refused)


def store(engine: Engine, settings: Settings, deletion_id: UUID, events: Sequence[Event]) -> None:
    """Store events, before they are first sent. An event that is already stored is not changed."""
    with own_transaction(engine) as connection:
        for event in events:  # the caller sends them first, at once
            insert(connection, settings, deletion_id, event, target=event.target, due_seconds=_RESERVED_SECONDS)


def insert(
    connection: Connection, settings: Settings, deletion_id: UUID, event: Event, *, target: str, due_seconds: float
) -> None:
    """Store one event, due after these seconds, unless it is already stored."""
    # URL and headers of a customer's webhook are private.
    sealed = encryption.cipher(settings).encrypt(json.dumps(asdict(event)).encode())
    values = {"id": event.id, "deletion_id": deletion_id, "target": target, "status": WebhookStatus.PENDING}
    row = postgresql.insert(WebhookEvent).values(**values, sealed=sealed, next_try_at=from_now(due_seconds))
    connection.execute(row.on_conflict_do_nothing())


def pending_ids(engine: Engine, deletion_id: UUID) -> list[str]:
    """Ids of the pending events that announce the deletion."""
    with own_statement(engine) as connection:
        return list(connection.scalars(_PENDING, {"of_deletion": deletion_id}))


def take_due(engine: Engine, limit: int) -> list[str]:
    """Reserve due events: their next try moves _RESERVED_SECONDS ahead, so that no other process sends them."""
    reserve = update(WebhookEvent).values(next_try_at=from_now(_RESERVED_SECONDS))
    pending, due_at = WebhookEvent.status == WebhookStatus.PENDING, WebhookEvent.next_try_at
    order = due_at, WebhookEvent.deletion_id, *_AS_SENT
    with own_transaction(engine) as connection:
        taken = timing.take_due(connection, reserve, due_at, WebhookEvent.id, where=[pending], order=order, limit=limit)
    return [row.id for row in taken]


def try_to_deliver(engine: Engine, settings: Settings, event_id: str) -> str | None:
    """Send a stored event once. Returns the error, or None when it was delivered or is not pending any more."""
    with own_transaction(engine) as connection:
        sealed = connection.scalar(
            select(WebhookEvent.sealed).where(WebhookEvent.id == event_id, WebhookEvent.status == WebhookStatus.PENDING)
        )
    if sealed is None:
        return None
    try:
        event = Event(**json.loads(encryption.cipher(settings).decrypt(sealed)))
    except InvalidToken:
        failure: str | None = "encrypted with another LETHE_SECRET_KEY"
    else:
        failure = delivery.deliver(event, settings)
    _store_result(engine, event_id, failure)
    return failure


def _store_result(engine: Engine, event_id: str, failure: str | None) -> None:
    row = update(WebhookEvent).where(WebhookEvent.id == event_id, WebhookEvent.status == WebhookStatus.PENDING)
    if failure is None:
        change = row.values(
            status=WebhookStatus.DELIVERED, tries=WebhookEvent.tries + 1, sealed=None, ended_at=func.now(), error=None
        )
    elif failure in delivery.PERMANENT_FAILURES:  # no further try, and tries does not count it
        change = row.values(status=WebhookStatus.REFUSED, sealed=None, ended_at=func.now(), error=failure)
    else:
        next_try_at = after_growing_pause(_FIRST_BACKOFF_SECONDS, WebhookEvent.tries, _MAX_BACKOFF_SECONDS)
        change = row.values(tries=WebhookEvent.tries + 1, error=failure, next_try_at=next_try_at)
    with own_transaction(engine) as connection:
        ended = connection.execute(change.returning(*_AUDITED)).all()
        decision = _DECISIONS.get(failure)
        if decision and ended:
            _audit(connection, decision, ended)


def _audit(connection: Connection, decision: Decision, events: Sequence[Row[Any]]) -> None:
    chain.append(connection, *(_entry(decision, *tuple(event)) for event in events))


def _entry(decision: Decision, deletion_id: UUID, instance_id: str, target: str, tries: int) -> Entry:
    reason = f"{target} webhook, tries: {tries}"
    return Entry(Action.WEBHOOK, decision, instance_id=instance_id, deletion_id=deletion_id, reason=reason)


def expire_pending(connection: Connection, deletion_id: UUID) -> list[Entry]:
    """Expire the pending webhooks of a cancelled deletion: they would announce a deletion that never happened.

    Returns the audit entries to append.
    """
    pending = update(WebhookEvent).where(
        WebhookEvent.deletion_id == deletion_id, WebhookEvent.status == WebhookStatus.PENDING
    )
    change = pending.values(status=WebhookStatus.EXPIRED, sealed=None, error=WITHDRAWN, ended_at=func.now())
    return [_entry(Decision.CANCELLED, *tuple(event)) for event in connection.execute(change.returning(*_AUDITED))]


def expire(engine: Engine, settings: Settings) -> int:
    """Mark events pending longer than LETHE_WEBHOOK_KEEP_SECONDS as expired, and remove their content.

    Returns their number.
    """
    old = update(WebhookEvent).where(
        WebhookEvent.status == WebhookStatus.PENDING,
        WebhookEvent.created_at < from_now(-settings.webhook_keep_seconds),
    )
    expired = literal(WebhookStatus.EXPIRED, WebhookEvent.status.type)
    change = old.values(status=expired, sealed=None, ended_at=func.now())
    with own_transaction(engine) as connection:
        events = connection.execute(change.returning(*_AUDITED)).all()
        if events:
            _audit(connection, Decision.EXPIRED, events)
    return len(events)
