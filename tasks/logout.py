"""Ends the WhatsApp session at every gateway that holds one."""

from functools import partial

from shared import retry
from shared.evolution.gateway import CONNECTED, Gateway, Stuck, can_be_addressed
from shared.translations.marks import N_
from tasks import permission_check
from tasks.context import Context, Counts, Progress, Target
from tasks.gateways import channels, gateway_check

_STUCK_SECONDS = 2  # a dead socket gives the same answer for ever: a few tries are enough


def rehearse(target: Target) -> None:
    """Check that each gateway is an Evolution server, answers the calls and accepts the key."""
    gateway_check.check(target)
    for gateway in target.gateways:
        target.services.rehearsed.once(f"gateway {gateway.url}", partial(_call, target, gateway))


def _call(target: Target, gateway: Gateway) -> None:
    gateway.rehearse()
    # A server checks the key only when the instance exists.
    names = (target.instance_name, *target.other_names())
    if (known := next(filter(can_be_addressed, names), None)) is not None:
        gateway.state(known)


def preview(target: Target) -> Counts:
    """Count the open sessions."""
    if not can_be_addressed(target.instance_name):
        return {}
    states = [gateway.state(target.instance_name) for gateway in target.gateways]
    return {"sessions": sum(state in CONNECTED for state in states)}


def run(ctx: Context) -> Progress:
    """Log out wherever the instance is connected; a dead socket is noted and does not stop the deletion."""
    permission_check.recheck_permission(ctx)
    if not can_be_addressed(ctx.instance_name):
        ctx.note(not_logged_out=N_("restart needed: a URL cannot carry the name"))
        return Progress.DONE
    with ctx.services.tenant.holding_name(ctx.instance_id, ctx.instance_name) as is_its_name:
        if not is_its_name:
            return Progress.DONE
        connected = [gateway for gateway in ctx.gateways if gateway.state(ctx.instance_name) in CONNECTED]
        permission_check.check_still_disconnected(ctx, is_connected=bool(connected))
        if connected:
            # First: a server waits up to 20 minutes for the webhook's answer before it cleans up by name.
            channels.disable(ctx)
        for gateway in connected:
            _log_out(ctx, gateway)
    return Progress.DONE


def _log_out(ctx: Context, gateway: Gateway) -> None:
    ctx.ensure_claim_held()
    try:
        retry.call(lambda: gateway.log_out(ctx.instance_name), seconds=_STUCK_SECONDS)
    except Stuck:
        ctx.note(unlinked=False, stuck_gateways=sorted({*ctx.notes.get("stuck_gateways", []), gateway.url}))
        return
    ctx.add_removed({"sessions": 1})
