"""Scheduled deletions: when they begin, what is tried when they are ordered, and the order to begin now."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from shared import logs
from shared.audit import chain
from shared.audit.entries import Action, Decision, Entry
from shared.database import timing
from shared.database.connections import own_transaction
from shared.database.models import Deletion
from shared.deletions import lifecycle
from shared.errors import Refused, TransientError
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from tasks import pipeline, publishing
from tasks.context import Target
from tasks.orders.caller import Caller

log = logs.get(__name__)
LONGEST_DAYS = 90


class ImpossibleMoment(Refused):
    """A deletion cannot begin at this moment."""


def check(services: Services, not_before: datetime | None) -> None:
    """Raise ImpossibleMoment for one that is past, or too far ahead, by the clock of Lethe's own database."""
    if not_before is None:
        return
    now = timing.now(services.own)
    if not_before <= now:
        raise ImpossibleMoment("notBefore: this moment is past")
    if not_before > now + timedelta(days=LONGEST_DAYS):
        raise ImpossibleMoment(f"notBefore: at most {LONGEST_DAYS} days ahead")


def begins_at(services: Services, not_before: datetime | None) -> datetime | None:
    """The moment that was asked for, else the end of the grace period of the settings; None without both: at once."""
    grace_seconds = services.settings.grace_seconds
    if not_before is not None or not grace_seconds:
        return not_before
    return timing.now(services.own) + timedelta(seconds=grace_seconds)


def audit_reason(not_before: datetime | None, *, exports: bool = False) -> str | None:
    """What the audit says of a deletion that begins at this moment, or that writes an export first."""
    moment = f"scheduled for {not_before.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if not_before else None
    return ", ".join(filter(None, (moment, "with an export" if exports else None))) or None


def rehearse(services: Services, instance: Instance, *, exports: bool = False) -> None:
    """Raise what would stop the deletion if it began now. What cannot be reached now is tried at the moment."""
    try:
        pipeline.preview(Target(services, instance.id, instance.name, thorough=False, exports=exports))
    except TransientError as error:
        log.warning("not all rehearsed before the deletion was scheduled", reason=error.title)


def run_now(services: Services, deletion_id: UUID, caller: Caller) -> bool:
    """Begin a scheduled deletion now; False when it is not scheduled."""
    with own_transaction(services.own) as connection:
        message = lifecycle.run_now(
            connection, deletion_id, caller.requester, republish_seconds=services.settings.nudge_seconds
        )
        if message is None:
            return False
        caller.count_request()
        instance_id = connection.scalar(select(Deletion.instance_id).where(Deletion.id == deletion_id))
        chain.append(connection, Entry(Action.RUN_NOW, Decision.ACCEPTED, caller.actor, instance_id, deletion_id))
    publishing.publish(services, message)
    return True
