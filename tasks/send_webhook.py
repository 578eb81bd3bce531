"""Tells the instance's and the global webhook that the instance is being deleted."""

from uuid import UUID

from shared.webhooks import delivery, events, outbox
from shared.webhooks.events import Event
from tasks.context import Context, Counts, Progress, Target
from tasks.gateways import channels

_TRIES = 2  # a dead receiver delays the deletion by seconds; the outbox tries it again later


def rehearse(target: Target) -> None:
    """Read the instance's webhook; its receiver is not called, for it may be down and is tried again later."""
    target.webhook()


def preview(target: Target) -> Counts:
    """Count the webhooks to send."""
    return {"webhooks": len(_events(target, UUID(int=0), was_switched_off=False))}


def run(ctx: Context) -> Progress:
    """Store the events, so that none is lost, then try to deliver each one."""
    own, settings = ctx.services.own, ctx.services.settings
    was_switched_off = "Webhook" in channels.disabled_tables(ctx.claim)
    found = _events(ctx, ctx.deletion_id, was_switched_off=was_switched_off)
    if not found and ctx.claim.runs == 1:  # else an earlier run may have stored some
        return Progress.DONE
    outbox.store(own, settings, ctx.deletion_id, found)
    for event_id in outbox.pending_ids(own, ctx.deletion_id):
        _send(ctx, event_id)
    return Progress.DONE


def _events(target: Target, deletion_id: UUID, *, was_switched_off: bool) -> list[Event]:
    row = target.webhook(even_if_off=was_switched_off)
    return events.events_for(deletion_id, target.instance_id, target.instance_name, row, target.services.settings)


def _send(ctx: Context, event_id: str) -> None:
    kind = event_id.rpartition(".")[2]
    failure: str | None = None
    for _ in range(_TRIES):
        ctx.ensure_claim_held()
        failure = outbox.try_to_deliver(ctx.services.own, ctx.services.settings, event_id)
        if failure is None:
            ctx.note(**{kind: "delivered"})
            ctx.add_removed({"delivered": 1})
            return
        if failure in delivery.PERMANENT_FAILURES:
            ctx.note(**{kind: f"refused: {failure}"})
            ctx.add_removed({"refused": 1})
            return
    ctx.note(**{kind: f"pending: {failure}"})
    ctx.add_removed({"pending": 1})
