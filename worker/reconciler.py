"""Publishes deletions that no worker runs: it died, the message was lost, or the pause or a moment has come."""

from redis.exceptions import RedisError

from shared import logs
from shared.audit import refusals
from shared.deletions import lifecycle, republishing
from shared.errors import LetheError
from shared.evolution.rows import reservation
from shared.services import Services
from shared.webhooks import notices
from tasks import publishing
from tasks.gateways import channels

log = logs.get(__name__)


def reconcile(services: Services) -> int:
    """Publish stale and due deletions again; returns how many. Several may run at once: each takes other deletions."""
    settings = services.settings
    stale = republishing.take_over_stale(
        services.own, stale_seconds=settings.stale_seconds, republish_seconds=settings.nudge_seconds
    )
    failed = lifecycle.fail_overdue(
        services.own, deadline_seconds=settings.deadline_seconds, notify=notices.writer(settings, notices.Kind.FAILED)
    )
    if failed:
        log.error("deletions failed at the deadline", deletions=failed)
    due = [
        *lifecycle.queue_scheduled(services.own, republish_seconds=settings.nudge_seconds),
        *republishing.take_due(
            services.own, republish_seconds=settings.nudge_seconds, max_pause_seconds=settings.max_pause_seconds
        ),
    ]
    unpublished = sum(not publishing.publish(services, message) for message in (*stale, *due))
    _write_refusals(services)
    republishing.tick(services.own, "reconciler")
    if stale or due:
        log.info("reconciled", taken_over=len(stale), due=len(due), unpublished=unpublished)
    # Last: both need the tenant database, and the work above must not wait when that is unreachable.
    channels.restore(services)
    _release_names(services)
    return len(stale) + len(due) - unpublished


def _write_refusals(services: Services) -> None:
    try:
        refusals.write_lines(services.own, services.redis)
    except RedisError as error:  # the counts stay in Redis
        log.warning("refusals not written", error=type(error).__name__)


def _release_names(services: Services) -> None:
    try:
        released = reservation.release_ended(services.tenant, services.own)
    except LetheError as error:  # the next round is soon
        log.warning("names not released", reason=error.title)
        return
    if released:
        log.info("names released", deletions=released)
