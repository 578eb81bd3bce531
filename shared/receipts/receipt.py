"""Receipts: what a succeeded deletion did. A receipt is signed in the transaction in which the deletion succeeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, Uuid, bindparam, insert, select

from shared import signing
from shared.audit.chain import Place
from shared.database.connections import own_transaction
from shared.database.models import Deletion, Receipt, Step, WebhookEvent
from shared.errors import LetheError
from shared.receipts import archived
from shared.receipts import keys as receipt_keys
from shared.settings import Settings
from shared.stamps import outbox as stamps
from shared.stamps.outbox import Subject
from shared.webhooks.events import OPERATOR

KIND = "lethe.receipt.v1"
_OF = bindparam("of_deletion", type_=Uuid)
_DELETION = select(Deletion.__table__).where(Deletion.id == _OF)
_STEPS = select(Step.__table__).where(Step.deletion_id == _OF).order_by(Step.position)
_EVENTS = (
    select(WebhookEvent.__table__)
    .where(WebhookEvent.deletion_id == _OF, WebhookEvent.target != OPERATOR)
    .order_by(WebhookEvent.target.desc(), WebhookEvent.id.desc())
)


class ReceiptChanged(LetheError):
    """The stored receipt is not what was signed."""


def write(connection: Connection, deletion_id: UUID, settings: Settings, line: Place) -> None:
    """Sign and store the receipt of a deletion that succeeds in this transaction. line: its place in the audit."""
    deletion, steps, events = (
        connection.execute(query, {"of_deletion": deletion_id}) for query in (_DELETION, _STEPS, _EVENTS)
    )
    content = {"receipt": compose(deletion.one(), steps.all(), events.all(), settings.gateways, line)}
    document = signing.sign(content, receipt_keys.current(connection, settings))
    connection.execute(insert(Receipt), {"deletion_id": deletion_id, "document": document})
    stamps.enqueue(connection, settings, Subject.RECEIPT, deletion_id)


def load(engine: Engine, deletion_id: UUID) -> str | None:
    """The signed receipt; None when there is none. Raises ReceiptChanged when the row is not what was signed."""
    with own_transaction(engine) as connection:
        document = connection.scalar(select(Receipt.document).where(Receipt.deletion_id == deletion_id))
        keys = receipt_keys.all_public(connection) if document is not None else {}
    if document is None:
        return None
    try:
        of = proved(signing.check(document.encode(), keys))["deletionId"]
    except signing.InvalidDocument as error:
        raise ReceiptChanged(f"The stored receipt is not what was signed: {error.title}") from error
    if of != str(deletion_id):
        raise ReceiptChanged("The stored receipt is not what was signed: it is of another deletion")
    return document


def proved(document: Mapping[str, Any]) -> dict[str, str]:
    """Which deletion a verified document proves, and the key id; raises InvalidDocument when it is no receipt."""
    content = document.get("receipt")
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise signing.InvalidDocument("it is signed, but no receipt that this version knows")
    facts = {name: str(content.get(name)) for name in ("deletionId", "instanceId", "instanceName", "finishedAt")}
    return {**facts, "keyId": str(document.get("keyId"))}


def compose(
    deletion: Row[Any], steps: Sequence[Row[Any]], events: Sequence[Row[Any]], gateways: Sequence[str], line: Place
) -> dict[str, Any]:
    """The content of the receipt. Gateways have numbers, in the order of the settings, for addresses are private."""
    notes: dict[str, Mapping[str, Any]] = {step.name: step.notes for step in steps}
    confirmed = notes.get("confirm", {})
    sessions = sum(step.removed.get("sessions", 0) for step in steps)
    numbers = {url: f"gateway {number}" for number, url in enumerate(gateways, 1)}
    return {
        "kind": KIND,
        "deletionId": str(deletion.id),
        "instanceId": deletion.instance_id,
        "instanceName": deletion.instance_name,
        "requestedBy": {"role": deletion.requester, "keyId": deletion.requester_key_id},
        "confirmedBy": _confirmed(deletion),
        "acceptedAt": _moment(deletion.accepted_at),
        "notBefore": _moment(deletion.not_before),  # null unless it was scheduled
        "irrevocableAt": _moment(deletion.irrevocable_at),
        "finishedAt": _moment(deletion.finished_at),
        "steps": [_step(step) for step in steps],
        "unlinked": {
            "session": _session(notes.get("logout", {}), sessions, numbers),
            **_dropped(notes.get("deregister", {}), numbers),
        },
        "webhooks": [_webhook(event) for event in events],
        "verified": {
            "empty": confirmed.get("verified_empty", []),
            "at": confirmed.get("verified_at"),
            # What is kept by the name is another instance's then, and was looked for by id only.
            "nameInUse": bool(confirmed.get("name_in_use", False)),
            # "current versions only" where the server of the bucket lists no old ones; None without a bucket.
            "objects": confirmed.get("objects_seen"),
        },
        # What may hold data of the instance and was not erased; null where an earlier version began the deletion.
        "notCovered": notes.get("deregister", {}).get("not_covered"),
        # The export that was written before; null without one.
        "archive": archived.compose(notes.get("deregister", {}).get("archive"), steps),
        "kept": _kept(steps),
        "rowTriggers": _row_triggers(notes.get("delete_records", {})),
        "gatewaysGivenUp": [_named(url, numbers) for url in dict.fromkeys(deletion.without_gateways)],
        "auditLine": asdict(line),
    }


def _confirmed(deletion: Row[Any]) -> dict[str, Any] | None:
    """Who confirmed the deletion, and how."""
    if deletion.confirmed_with is None:
        return None
    return {
        "keyId": deletion.confirmed_by,
        "means": deletion.confirmed_with.value,
        "at": _moment(deletion.confirmed_at),
        "preview": deletion.confirmed_preview,
    }


def _step(step: Row[Any]) -> dict[str, Any]:
    return {
        "name": step.name,
        "planned": step.planned,
        "removed": step.removed,
        "atLeast": step.at_least,
        "finishedAt": _moment(step.finished_at),
    }


def _webhook(event: Row[Any]) -> dict[str, Any]:
    return {
        "id": event.id,
        "to": event.target,
        "status": event.status.value,
        "tries": event.tries,
        "endedAt": _moment(event.ended_at),
    }


def _session(logout: Mapping[str, Any], sessions: int, numbers: Mapping[str, str]) -> str:
    """How the WhatsApp session ended, as text."""
    if unaddressed := logout.get("not_logged_out"):
        return str(unaddressed)
    if stuck := logout.get("stuck_gateways"):
        return f"not logged out, its socket was dead: {', '.join(_named(url, numbers) for url in stuck)}"
    return "logged out" if sessions else "no session was open"


def _dropped(deregister: Mapping[str, Any], numbers: Mapping[str, str]) -> dict[str, Any]:
    """The result of each gateway's drop, as text, and whether another instance had the name."""
    outcomes: Mapping[str, str] = deregister.get("gateways", {})
    return {
        "gateways": [
            {"gateway": _named(url, numbers), "outcome": outcome.replace("_", " ")} for url, outcome in outcomes.items()
        ],
        "nameBorneAgain": bool(deregister.get("name_borne_again", False)),
    }


def _kept(steps: Sequence[Row[Any]]) -> dict[str, int]:
    """Counts of what was kept, for it may belong to another existing instance."""
    return {
        name.removeprefix("kept_"): number
        for step in steps
        for name, number in step.notes.items()
        if name.startswith("kept_")
    }


def _row_triggers(delete_records: Mapping[str, Any]) -> dict[str, Any]:
    """Of the tables from which many rows went: those that went without triggers, and why the others did not."""
    noted: Mapping[str, str | None] = delete_records.get("triggers", {})
    return {
        "off": sorted(table for table, why in noted.items() if why is None),
        "on": {table: why for table, why in noted.items() if why is not None},
    }


def _named(url: str, numbers: Mapping[str, str]) -> str:
    return numbers.get(url, "a gateway of earlier settings")


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds") if moment else None
