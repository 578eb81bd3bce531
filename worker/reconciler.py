"""Publishes again what nobody works on: its owner died, its message was lost, or its pause is over."""

from dataclasses import dataclass

from redis.exceptions import RedisError

from shared import logs
from shared.audit import refusals
from shared.deletions import lifecycle, republishing
from shared.errors import LetheError
from shared.evolution.rows import reservation
from shared.services import Services
from tasks import publishing
from tasks.gateways import channels

log = logs.get(__name__)


@dataclass(frozen=True)
class Round:
    """What one round of the reconciler found."""

    taken_over: int
    due: int
    unpublished: int

    @property
    def published(self) -> int:
        """How many deletions were published again."""
        return self.taken_over + self.due - self.unpublished


def reconcile(services: Services) -> Round:
    """Find and publish; any number of these may run at once, each deletion is taken by one of them."""
    settings = services.settings
    dead = republishing.take_over_stale(
        services.own, stale_seconds=settings.stale_seconds, republish_seconds=settings.nudge_seconds
    )
    failed = lifecycle.fail_overdue(services.own, deadline_seconds=settings.deadline_seconds)
    if failed:
        log.error("deletions failed at the deadline", deletions=failed)
    due = republishing.take_due(
        services.own, republish_seconds=settings.nudge_seconds, max_pause_seconds=settings.max_pause_seconds
    )
    unpublished = sum(not publishing.publish(services, message) for message in (*dead, *due))
    _write_refusals_down(services)
    republishing.tick(services.own, "reconciler")
    found = Round(len(dead), len(due), unpublished)
    if dead or due:
        log.info("reconciled", taken_over=found.taken_over, due=found.due, unpublished=found.unpublished)
    # Last, for both need the tenant database, which may be away: nothing above waits for it.
    channels.restore(services)
    _release_names(services)
    return found


def _write_refusals_down(services: Services) -> None:
    try:
        refusals.write_lines(services.own, services.redis)
    except RedisError as error:  # they stay counted
        log.warning("refusals not written down", error=type(error).__name__)


def _release_names(services: Services) -> None:
    try:
        released = reservation.release_ended(services.tenant, services.own)
    except LetheError as error:  # the next round is soon
        log.warning("names not released", reason=error.title)
        return
    if released:
        log.info("names released", deletions=released)
