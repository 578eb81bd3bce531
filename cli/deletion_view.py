"""One deletion as it is shown: when, by whom, what each step removed, and what it waits for."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from cli import wording
from shared.access.api_keys import BOOTSTRAP
from shared.access.permissions import SERVER
from shared.database.connections import translate_errors
from shared.database.enums import ConfirmationMethod, Role
from shared.database.models import ApiKey, Deletion, DeletionStatus, Step, StepStatus, WebhookEvent, WebhookStatus
from shared.deletions import loading, rechecks
from shared.deletions.rechecks import CameBack
from shared.services import Services
from shared.webhooks import outbox
from shared.webhooks.delivery import NOT_ALLOWED


@dataclass(frozen=True)
class Known:
    """A deletion with what else is known of it."""

    deletion: Deletion
    key_name: str | None  # of whoever answers for it


def load(made: Services, deletion_id: UUID) -> Known | None:
    """The deletion from the own database; None when there is none of this id."""
    whose = ApiKey.id == Deletion.requester_key_id
    query = select(Deletion, ApiKey.name).outerjoin(ApiKey, whose).where(Deletion.id == deletion_id)
    with translate_errors("the own database"), Session(made.own, expire_on_commit=False) as session:
        row = session.execute(query.options(*loading.FOR_DISPLAY)).one_or_none()
        return Known(*row) if row else None


def requester(role: str, key_id: str | None, key_name: str | None) -> str:
    """Who answers for a deletion, in words."""
    if role == Role.INSTANCE:
        return "the instance's token"
    if key_id == BOOTSTRAP:
        return f"{role}, LETHE_ADMIN_KEY"
    if role == SERVER or key_name is None:
        return " ".join(filter(None, (role, key_id)))
    return f"{role}, key {key_id} {key_name!r}"


def lines(known: Known, now: datetime, *, width: int, deadline_seconds: float, max_failures: int) -> Iterator[str]:
    """The deletion in lines that a terminal of this width need not break."""
    deletion = known.deletion
    head = f"{deletion.id}  {deletion.instance_name!r}  {deletion.status.value}"
    yield from textwrap.wrap(head, width, subsequent_indent="  ")
    for title, says in _about(known, now, timedelta(seconds=deadline_seconds), max_failures):
        yield from textwrap.wrap(f"  {title:<13} {says}", width, subsequent_indent=" " * 16)
    yield ""
    yield f"  {'step':<15} {'status':<8} {'took':>6}  removed"
    for step in deletion.steps:
        line = f"  {step.name:<15} {step.status.value:<8} {_took(step, now):>6}  {_removed(step)}".rstrip()
        yield from textwrap.wrap(line, width, subsequent_indent=" " * 35, replace_whitespace=False)


def _about(known: Known, now: datetime, deadline: timedelta, max_failures: int) -> Iterator[tuple[str, str]]:
    deletion = known.deletion
    yield "instance", deletion.instance_id
    yield "accepted", wording.ago(deletion.accepted_at, now)
    if deletion.started_at:
        yield "started", wording.ago(deletion.started_at, now)
    if deletion.irrevocable_at:
        yield "irrevocable", f"since {wording.moment(deletion.irrevocable_at)}"
    if deletion.failed_at:
        yield "failed", wording.ago(deletion.failed_at, now)
    if deletion.finished_at:
        yield "finished", f"{wording.moment(deletion.finished_at)}{_after(deletion)}"
    yield "requested by", requester(deletion.requester, deletion.requester_key_id, known.key_name)
    if deletion.confirmed_with:
        yield "confirmed", _confirmed(deletion, deletion.confirmed_with)
    if deletion.without_gateways:
        yield "gave up", ", ".join(deletion.without_gateways)
    yield from _stands(deletion, now, deadline, max_failures)
    for event in deletion.webhooks:
        yield "webhook", _delivery(event, now)
    if found := rechecks.came_back(deletion):
        yield "came back", f"{wording.counts(found.found)}, {wording.ago(found.at, now)}. {found.why}"
    if deletion.next_look_at:
        yield "looks again", wording.ahead(deletion.next_look_at, now)


def _after(deletion: Deletion) -> str:
    begun, ended = deletion.started_at, deletion.finished_at
    return f", after {wording.span(ended - begun)}" if begun and ended else ""


def _confirmed(deletion: Deletion, means: ConfirmationMethod) -> str:
    by = "" if deletion.confirmed_by == deletion.requester_key_id else f", by {deletion.confirmed_by}"
    at = f", {wording.moment(deletion.confirmed_at)}" if deletion.confirmed_at else ""
    return f"{means.words}{by}{at}"


def _stands(deletion: Deletion, now: datetime, deadline: timedelta, max_failures: int) -> Iterator[tuple[str, str]]:
    """Why it stands where it stands, and when it goes on."""
    if deletion.reason:
        yield "reason", deletion.reason
    if deletion.status is DeletionStatus.FAILED:
        yield "next", f"mend that, then `lethe retry {deletion.id}`; what is done is not done again"
    if deletion.status is DeletionStatus.WAITING and deletion.next_attempt_at:
        yield "next try", wording.ahead(deletion.next_attempt_at, now)
    if deletion.status is DeletionStatus.WAITING and deletion.failures:
        yield "failures", f"{deletion.failures} in a row by the step itself; with {max_failures} the deletion fails"
    if deletion.status is DeletionStatus.QUEUED and deletion.next_attempt_at:
        yield "next try", f"no worker has taken it yet; offered again {wording.ahead(deletion.next_attempt_at, now)}"
    if deletion.status in (DeletionStatus.WAITING, DeletionStatus.QUEUED) and deletion.waiting_since:
        over = wording.ahead(deletion.waiting_since + deadline, now)
        yield "waits since", f"{wording.moment(deletion.waiting_since)}; without progress it fails {over}"
    if deletion.status is DeletionStatus.RUNNING and deletion.heartbeat_at:
        yield "heartbeat", f"{wording.span(now - deletion.heartbeat_at)} ago"


def _delivery(event: WebhookEvent, now: datetime) -> str:
    """How far one webhook is, and why it is no further."""
    if event.status is WebhookStatus.REFUSED:
        why = event.error or NOT_ALLOWED
        opens = " (LETHE_WEBHOOK_ALLOW opens hosts and networks inside)" if why == NOT_ALLOWED else ""
        return f"{event.target}: refused, {why}{opens}"
    tries = f" after {wording.counted(event.tries, 'try', 'tries')}" if event.tries else ""
    why = f", {event.error}" if event.error else ""
    outcome = "given up" if event.status is WebhookStatus.EXPIRED else event.status.value
    return f"{event.target}: {outcome}{tries}{why}{_when(event, now)}"


def _when(event: WebhookEvent, now: datetime) -> str:
    if event.status is WebhookStatus.PENDING:
        return f", next {wording.ahead(event.next_try_at, now)}" if event.next_try_at else ""
    return f", {wording.ago(event.ended_at, now)}" if event.ended_at else ""


def _took(step: Step, now: datetime) -> str:
    if step.started_at is None:
        return ""
    return wording.span((step.finished_at or now) - step.started_at)


def _removed(step: Step) -> str:
    done, planned = sum(step.removed.values()), sum((step.planned or {}).values())
    of_all = f"{done:,} of {planned:,}" if step.status is not StepStatus.DONE and planned else ""
    amount = "; ".join(filter(None, (of_all, wording.counts(step.removed))))
    at_least = "at least " if step.at_least and amount else ""
    return " ".join(filter(None, (f"{at_least}{amount}", step.error)))


def facts(known: Known) -> dict[str, Any]:
    """The deletion for a script."""
    deletion = known.deletion
    return {
        "id": deletion.id,
        "status": deletion.status.value,
        "reason": deletion.reason,
        "steps": {step.name: _step_facts(step) for step in deletion.steps},
        "instanceId": deletion.instance_id,
        "instanceName": deletion.instance_name,
        "failedStep": deletion.failed_step,
        "acceptedAt": _iso(deletion.accepted_at),
        "startedAt": _iso(deletion.started_at),
        "irrevocableAt": _iso(deletion.irrevocable_at),
        "finishedAt": _iso(deletion.finished_at),
        "failedAt": _iso(deletion.failed_at),
        "nextAttemptAt": _iso(deletion.next_attempt_at),
        "nextLookAt": _iso(deletion.next_look_at),
        "cameBack": _found_facts(rechecks.came_back(deletion)),
        "waitingSince": _iso(deletion.waiting_since),
        "requestedBy": {"role": deletion.requester, "keyId": deletion.requester_key_id, "keyName": known.key_name},
        "confirmedBy": _confirmation_facts(deletion),
        "withoutGateways": deletion.without_gateways,
        "webhooks": [_webhook_facts(event) for event in deletion.webhooks],
    }


def _step_facts(step: Step) -> dict[str, Any]:
    return {
        "status": step.status.value,
        "planned": step.planned,
        "removed": step.removed,
        "error": step.error,
        "atLeast": step.at_least,
        "startedAt": _iso(step.started_at),
        "finishedAt": _iso(step.finished_at),
    }


def _confirmation_facts(deletion: Deletion) -> dict[str, Any] | None:
    if deletion.confirmed_with is None:
        return None
    means, at = deletion.confirmed_with.value, _iso(deletion.confirmed_at)
    return {"keyId": deletion.confirmed_by, "means": means, "at": at}


def _found_facts(came_back: CameBack | None) -> dict[str, Any] | None:
    return {"found": came_back.found, "at": _iso(came_back.at), "why": came_back.why} if came_back else None


def _webhook_facts(event: WebhookEvent) -> dict[str, Any]:
    delivery = outbox.delivery_of(event)
    return {
        "target": delivery.target,
        "status": delivery.status.value,
        "tries": delivery.tries,
        "nextTryAt": _iso(delivery.next_try_at),
        "endedAt": _iso(delivery.ended_at),
        "error": delivery.error,
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
