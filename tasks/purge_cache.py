"""Unlinks the instance's keys from Evolution's Redis cache, by id and by name."""

from shared.cache import Cache
from tasks.context import Context, Counts, Progress, Target


def preview(target: Target) -> Counts:
    """Keys that would be unlinked."""
    cache = target.services.cache
    if cache is None:
        return {}
    cache.probe()
    by_id, _ = cache.by_id(target.instance_id, target.living)
    by_name, _ = cache.by_name(target.instance_name, target.living)
    return {"keys": len({*by_id, *by_name}) + cache.has_field(target.instance_name)}


def run(ctx: Context) -> Progress:
    """Unlink by id; by name only while this instance bears the name."""
    cache = ctx.services.cache
    if cache is None:
        return Progress.DONE
    mine, shared = cache.by_id(ctx.instance_id, ctx.living)
    _unlink(ctx, cache, mine)
    with ctx.services.tenant.holding_name(ctx.instance_id, ctx.instance_name) as is_its_name:
        if is_its_name:
            named, shared_by_name = cache.by_name(ctx.instance_name, ctx.living)
            shared += shared_by_name
            _unlink(ctx, cache, named)
            ctx.removed({"keys": cache.remove_field(ctx.instance_name)})
    if shared:
        ctx.note(kept_keys=len(shared))  # another living instance explains them as well
    return Progress.DONE


def _unlink(ctx: Context, cache: Cache, keys: list[str]) -> None:
    ctx.still_ours()
    for count in cache.unlink(keys):
        ctx.removed({"keys": count})
