"""The output of `lethe show`: one deletion with its times, requester, steps and webhooks."""

import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic.alias_generators import to_camel

from shared import formatting
from shared.database.models import Deletion, DeletionStatus, Step, StepStatus, WebhookEvent
from shared.deletions import display, rechecks
from shared.services import Services
from shared.translations.sentences import translated
from shared.translations.texts import _
from shared.webhooks import outbox
from shared.webhooks.delivery import NOT_ALLOWED

_FIELDS = (
    "id", "status", "reason", "hint", "needs_operator", "instance_id", "instance_name", "failed_step",
    "accepted_at", "not_before", "started_at",
    "irrevocable_at", "finished_at", "failed_at", "next_attempt_at", "next_look_at", "waiting_since",
    "without_gateways",
)  # fmt: skip
_STEP_FIELDS = ("status", "planned", "removed", "error", "at_least", "started_at", "finished_at")


@dataclass(frozen=True)
class DeletionWithKeyName:
    """A deletion, and the name of the API key that requested it."""

    deletion: Deletion
    key_name: str | None


def load(made: Services, deletion_id: UUID) -> DeletionWithKeyName | None:
    """Load the deletion and its API key's name; None when there is no such deletion."""
    deletion = display.load(made.own, deletion_id)
    return DeletionWithKeyName(deletion, display.load_key_name(made.own, deletion)) if deletion else None


def lines(
    known: DeletionWithKeyName, now: datetime, *, width: int, deadline_seconds: float, max_failures: int
) -> Iterator[str]:
    """The deletion in lines of at most this width."""
    deletion = known.deletion
    head = f"{deletion.id}  {deletion.instance_name!r}  {deletion.status.value}"
    yield from textwrap.wrap(head, width, subsequent_indent="  ")
    for title, text in _labelled_rows(known, now, timedelta(seconds=deadline_seconds), max_failures):
        yield from textwrap.wrap(f"  {title:<13} {text}", width, subsequent_indent=" " * 16)
    yield ""
    yield f"  {_('step'):<15} {_('status'):<8} {_('took'):>6}  {_('removed')}"
    for step in deletion.steps:
        line = f"  {step.name:<15} {step.status.value:<8} {_took(step, now):>6}  {_step_result(step)}".rstrip()
        yield from textwrap.wrap(line, width, subsequent_indent=" " * 35, replace_whitespace=False)


def _labelled_rows(
    known: DeletionWithKeyName, now: datetime, deadline: timedelta, max_failures: int
) -> Iterator[tuple[str, str]]:
    """The label and text of each row above the table of steps."""
    deletion = known.deletion
    yield _("instance"), deletion.instance_id
    yield _("accepted"), formatting.time_ago(deletion.accepted_at, now)
    if deletion.not_before and deletion.status is not DeletionStatus.SCHEDULED:
        yield _("not before"), formatting.local_time(deletion.not_before)
    if deletion.started_at:
        yield _("started"), formatting.time_ago(deletion.started_at, now)
    if deletion.irrevocable_at:
        yield _("irrevocable"), _("since {time}", time=formatting.local_time(deletion.irrevocable_at))
    if deletion.failed_at:
        yield _("failed"), formatting.time_ago(deletion.failed_at, now)
    if deletion.finished_at:
        started = deletion.started_at
        text = formatting.local_time(deletion.finished_at)
        if started:
            text = _(
                "{time}, after {duration}", time=text, duration=formatting.duration(deletion.finished_at - started)
            )
        yield _("finished"), text
    yield _("requested by"), display.requester(deletion.requester, deletion.requester_key_id, known.key_name)
    if confirmed := display.confirmation(deletion):
        at = deletion.confirmed_at
        yield _("confirmed"), f"{confirmed}, {formatting.local_time(at)}" if at else confirmed
    if deletion.without_gateways:
        yield _("skipped"), ", ".join(deletion.without_gateways)
    if deletion.exports:
        digest = deletion.archive_sha256
        yield _("export"), f"manifest {digest}" if digest else _("written before anything is erased")
    yield from _status_details(deletion, now, deadline, max_failures)
    for event in deletion.webhooks:
        yield _("webhook"), _webhook(event, now)
    if found := rechecks.came_back(deletion):
        counts = formatting.counts_in_line(found.found)
        yield _("came back"), f"{counts}, {formatting.time_ago(found.at, now)}. {translated(found.why)}"
    if deletion.next_look_at:
        yield _("next check"), formatting.time_until(deletion.next_look_at, now)


def _status_details(
    deletion: Deletion, now: datetime, deadline: timedelta, max_failures: int
) -> Iterator[tuple[str, str]]:
    """Why it has this status, and when it begins or continues."""
    if deletion.status is DeletionStatus.SCHEDULED and deletion.not_before:
        yield _("begins"), formatting.time_until(deletion.not_before, now)
        text = _("`lethe cancel {id}` keeps the instance, `lethe run-now {id}` does not wait", id=deletion.id)
        yield _("next"), text
    if deletion.reason:
        yield _("reason"), translated(deletion.reason)
    if deletion.hint:
        yield _("hint"), translated(deletion.hint)
    if deletion.needs_operator:
        yield (
            _("needs an operator"),
            _("the instance is partly deleted, and stays so until the deletion continues.").rstrip("."),
        )
    if deletion.status is DeletionStatus.FAILED:
        yield _("next"), _("fix that, then `lethe retry {id}`; it continues where it stopped", id=deletion.id)
    if deletion.status is DeletionStatus.WAITING and deletion.next_attempt_at:
        yield _("next try"), formatting.time_until(deletion.next_attempt_at, now)
    if deletion.status is DeletionStatus.WAITING and deletion.failures:
        yield (
            _("failures"),
            _(
                "{failures} in a row of the step itself; after {most} the deletion fails",
                failures=deletion.failures,
                most=max_failures,
            ),
        )
    if deletion.status is DeletionStatus.QUEUED and deletion.next_attempt_at:
        time = formatting.time_until(deletion.next_attempt_at, now)
        yield _("next try"), _("no worker has claimed it yet; published again {time}", time=time)
    if deletion.status in (DeletionStatus.WAITING, DeletionStatus.QUEUED) and deletion.waiting_since:
        since, over = deletion.waiting_since, formatting.time_until(deletion.waiting_since + deadline, now)
        text = _("{time}; without progress it fails {end}", time=formatting.local_time(since), end=over)
        yield _("waiting since"), text
    if deletion.status is DeletionStatus.RUNNING and deletion.heartbeat_at:
        yield _("heartbeat"), _("{duration} ago", duration=formatting.duration(now - deletion.heartbeat_at))


def _webhook(event: WebhookEvent, now: datetime) -> str:
    """The delivery status of one webhook, and its time."""
    delivery = outbox.delivery_of(event)
    text = f"{delivery.target}: {display.webhook(delivery.status, delivery.tries, delivery.error)}"
    if delivery.error == NOT_ALLOWED:
        text += _(" (LETHE_WEBHOOK_ALLOW allows internal hosts and networks)")
    if delivery.next_try_at:
        text += _(", next {time}", time=formatting.time_until(delivery.next_try_at, now))
    if delivery.ended_at:
        text += f", {formatting.time_ago(delivery.ended_at, now)}"
    return text


def _took(step: Step, now: datetime) -> str:
    if step.started_at is None:
        return ""
    return formatting.duration((step.finished_at or now) - step.started_at)


def _step_result(step: Step) -> str:
    """What the step has removed, of how much until it is done, and its error."""
    done, planned = sum(step.removed.values()), sum((step.planned or {}).values())
    of_all = (
        _("{done:,} of {planned:,}", done=done, planned=planned)
        if step.status is not StepStatus.DONE and planned
        else ""
    )
    amount = "; ".join(filter(None, (of_all, formatting.counts_in_line(step.removed))))
    if step.at_least and amount:
        amount = _("at least {counts}", counts=amount)
    return " ".join(filter(None, (amount, translated(step.error or ""))))


def to_json(known: DeletionWithKeyName) -> dict[str, Any]:
    """The deletion as a dictionary for JSON output. Fields that the API also returns have the API's names."""
    deletion, found = known.deletion, rechecks.came_back(known.deletion)
    return {
        **_camel({name: getattr(deletion, name) for name in _FIELDS}),
        "steps": {step.name: _camel({name: getattr(step, name) for name in _STEP_FIELDS}) for step in deletion.steps},
        "cameBack": asdict(found) if found else None,
        "requestedBy": {"role": deletion.requester, "keyId": deletion.requester_key_id, "keyName": known.key_name},
        "confirmedBy": _confirmed_by(deletion),
        "webhooks": [_camel(asdict(outbox.delivery_of(event))) for event in deletion.webhooks],
    }


def _confirmed_by(deletion: Deletion) -> dict[str, Any] | None:
    if deletion.confirmed_with is None:
        return None
    return {"keyId": deletion.confirmed_by, "means": deletion.confirmed_with, "at": deletion.confirmed_at}


def _camel(values: dict[str, Any]) -> dict[str, Any]:
    return {to_camel(name): value for name, value in values.items()}
