"""Events for the operator's own receiver, LETHE_NOTIFY_URL: a deletion succeeded, failed, or waits for long."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Connection, Engine, Text, cast, exists, func, select

from shared.database.connections import own_transaction
from shared.database.models import UNDER_WAY, Deletion, DeletionStatus, Step, WebhookEvent
from shared.database.timing import from_now
from shared.settings import NotifyForm, Settings
from shared.webhooks import outbox
from shared.webhooks.events import GLOBAL, OPERATOR, Event

_AT_ONCE = 100
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})  # all that Slack's markup needs
_STEP = select(Step.name).where(Step.deletion_id == Deletion.id, Step.position == Deletion.position).scalar_subquery()
_TAKEN_OVER = "its worker died, and nothing was done since"  # else, what waits has a reason
_FACTS: tuple[Any, ...] = (
    Deletion.id, Deletion.instance_id, Deletion.instance_name, Deletion.status, Deletion.attempt, Deletion.accepted_at,
    Deletion.finished_at, Deletion.irrevocable_at, Deletion.waiting_since,
    func.coalesce(Deletion.failed_step, _STEP).label("step"),
    func.coalesce(Deletion.reason, _TAKEN_OVER).label("reason"),
    func.now().label("at"),
)  # fmt: skip


class Kind(StrEnum):
    """What happened; the value is the event's type."""

    SUCCEEDED = "deletion.succeeded"
    FAILED = "deletion.failed"
    WAITING = "deletion.waiting"


Write = Callable[[Connection, Iterable[UUID]], None]


def writer(settings: Settings, kind: Kind) -> Write:
    """Stores the event of each of these deletions, in the transaction that ends them. Does nothing without the URL."""

    def write(connection: Connection, deletion_ids: Iterable[UUID]) -> None:
        if settings.notify_url:
            for row in connection.execute(select(*_FACTS).where(Deletion.id.in_(list(deletion_ids)))).all():
                _store(connection, settings, kind, row)

    return write


def add_waiting(engine: Engine, settings: Settings) -> int:
    """Store an event for each deletion that waits for long, once per waiting period. Returns how many."""
    if settings.notify_url is None:
        return 0
    event_id = cast(Deletion.id, Text) + ".waiting." + cast(cast(_epoch(Deletion.waiting_since), BigInteger), Text)
    query = (
        select(*_FACTS)
        .where(Deletion.status.in_(UNDER_WAY))
        .where(Deletion.waiting_since < from_now(-settings.notify_waiting_minutes * 60))
        .where(~exists().where(WebhookEvent.id == event_id))
        .limit(_AT_ONCE)
    )
    with own_transaction(engine) as connection:
        rows = connection.execute(query).all()
        for row in rows:
            _store(connection, settings, Kind.WAITING, row)
    return len(rows)


def _epoch(moment: Any) -> Any:
    return func.floor(func.extract("epoch", moment))


def _store(connection: Connection, settings: Settings, kind: Kind, row: Any) -> None:
    which = {
        Kind.SUCCEEDED: "succeeded",
        Kind.FAILED: f"failed.{row.attempt}",  # a resumed deletion may fail again
        Kind.WAITING: f"waiting.{int(row.waiting_since.timestamp())}" if row.waiting_since else "",
    }[kind]
    body = {"text": _sentence(kind, row)} if settings.notify_form is NotifyForm.SLACK else _document(kind, row)
    url = settings.notify_url.get_secret_value() if settings.notify_url else ""
    # Delivered like the global one: both are the operator's, and may be inside of the network.
    event = Event(f"{row.id}.{which}", GLOBAL, url, {}, body)
    outbox.insert(connection, settings, row.id, event, target=OPERATOR, due_seconds=0)


def _document(kind: Kind, row: Any) -> dict[str, Any]:
    """As Standard Webhooks has them: type, timestamp, data."""
    data = {
        "deletionId": str(row.id),
        "instanceId": row.instance_id,
        "instanceName": row.instance_name,
        "acceptedAt": row.accepted_at.isoformat(),
    }
    if kind is Kind.SUCCEEDED:
        data["finishedAt"] = row.finished_at.isoformat()
    else:
        data |= {"step": row.step, "reason": row.reason}
    if kind is Kind.FAILED:
        data["needsOperator"] = _is_partly_deleted(row)
    if kind is Kind.WAITING:
        data["waitingSince"] = row.waiting_since.isoformat()
    return {"type": kind.value, "timestamp": row.at.isoformat(), "data": data}


def _sentence(kind: Kind, row: Any) -> str:
    """For people."""
    what, where = f'Lethe: the deletion of "{row.instance_name}"', f"`lethe show {row.id}`"
    why = f"in {row.step}: {row.reason}"
    if kind is Kind.SUCCEEDED:
        said = f"{what} succeeded. {where}"
    elif kind is Kind.FAILED:
        rest = " The instance is partly deleted until the deletion is resumed." if _is_partly_deleted(row) else ""
        said = f"{what} failed {why}.{rest} {where}"
    else:
        minutes = (row.at - row.waiting_since) // timedelta(minutes=1)
        said = f"{what} has been waiting for {minutes} minutes {why}. {where}"
    return said.translate(_SLACK)


def _is_partly_deleted(row: Any) -> bool:
    return row.status is DeletionStatus.FAILED and row.irrevocable_at is not None
