"""Tells the instance's and the global webhook that the instance is being deleted."""

from uuid import UUID

from shared import webhooks
from shared.webhooks import Event
from tasks.context import Context, Counts, Progress, Target

_TRIES = 2  # a dead receiver costs seconds, not the deletion


def preview(target: Target) -> Counts:
    """Webhooks that would be sent."""
    return {"webhooks": len(_events(target, UUID(int=0)))}


def run(ctx: Context) -> Progress:
    """Send each event that was not sent before, and write down how it ended."""
    for event in _events(ctx, ctx.deletion_id):
        if event.target not in ctx.notes:
            _send(ctx, event)
    return Progress.DONE


def _events(target: Target, deletion_id: UUID) -> list[Event]:
    row = target.services.tenant.webhook(target.instance_id)
    return webhooks.events_for(deletion_id, target.instance_id, target.instance_name, row, target.services.settings)


def _send(ctx: Context, event: Event) -> None:
    for _ in range(_TRIES):
        ctx.still_ours()
        failure = webhooks.deliver(event, ctx.services.settings.webhook_timeout_seconds)
        if failure is None:
            ctx.note(**{event.target: "delivered"})
            ctx.removed({"delivered": 1})
            return
    ctx.note(**{event.target: f"undelivered: {failure}"})
    ctx.removed({"undelivered": 1})
