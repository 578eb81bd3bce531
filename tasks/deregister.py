"""Takes the name away: fences the row, removes what is kept by name, drops it from every gateway's memory."""

from shared import deletions, retry
from shared.gateway import Gateway, Stuck, can_be_addressed
from tasks.context import Context, Counts, Progress, Target

RESTART = "not_dropped: restart needed"
_STUCK_SECONDS = 2  # a dead socket answers the same for ever: a few tries are enough


def preview(target: Target) -> Counts:
    """Gateways that would drop the instance from their memory, and media kept by its name."""
    counts = {"gateways": len(target.services.gateways)}
    for storage in target.services.storages:
        storage.probe()
        counts[storage.unit] = storage.count_named(target.instance_name, target.neighbours)
    return counts


def run(ctx: Context) -> Progress:
    """Pass the point of no return, then work by name under its reservation, for the last time."""
    deletions.make_irrevocable(ctx.services.own, ctx.claim)
    if ctx.services.tenant.fence(ctx.instance_id, ctx.deletion_id):
        ctx.note(fenced=True)
    ctx.still_ours()
    with ctx.services.tenant.reserving_name(ctx.instance_name) as reservation:
        if reservation is None:
            _leave_to_the_new_bearer(ctx)
            return Progress.DONE
        _remove_named_media(ctx)
        for gateway in ctx.services.gateways:
            # A reservation that was lost must not be worked under: this raises when its connection is gone.
            reservation.exec_driver_sql("SELECT 1")
            _drop(ctx, gateway)
        _purge_named_keys(ctx)
    return Progress.DONE


def _leave_to_the_new_bearer(ctx: Context) -> None:
    dropped = ctx.notes.get("gateways", {})
    outcomes = {gateway.url: dropped.get(gateway.url, RESTART) for gateway in ctx.services.gateways}
    ctx.note(
        name_borne_again=True,
        gateways=outcomes,
    )


def _remove_named_media(ctx: Context) -> None:
    kept: list[str] = []
    for storage in ctx.services.storages:
        ctx.still_ours()
        removed, shared = storage.take_named(ctx.instance_name, ctx.deletion_id, ctx.neighbours)
        kept += shared
        ctx.removed({storage.unit: removed})
    if kept:
        ctx.note(kept_media=len(kept))  # another living instance's name leads to them as well


def _drop(ctx: Context, gateway: Gateway) -> None:
    before = ctx.notes.get("gateways", {})
    if before.get(gateway.url) == "dropped":
        return
    outcome = "dropped"
    if can_be_addressed(ctx.instance_name):
        ctx.still_ours()
        try:
            retry.on_the_spot(lambda: gateway.drop(ctx.instance_name), seconds=_STUCK_SECONDS)
            ctx.removed({"gateways": 1})
        except Stuck:
            outcome = RESTART
    else:
        outcome = RESTART  # a URL cannot carry the name
    ctx.note(gateways={**before, gateway.url: outcome})


def _purge_named_keys(ctx: Context) -> None:
    # After the drop: a connected server may have written some since they were purged.
    cache = ctx.services.cache
    if cache is None:
        return
    mine, _ = cache.by_name(ctx.instance_name, ctx.living)
    for count in cache.unlink(mine):
        ctx.removed({"keys": count})
    ctx.removed({"keys": cache.remove_field(ctx.instance_name)})
