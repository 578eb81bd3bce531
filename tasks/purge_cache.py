"""Unlinks the instance's keys from Evolution's Redis cache, by id and by name."""

from datetime import UTC, datetime
from functools import partial

from shared.deletions import companions
from shared.evolution.cache import rehearsal
from shared.evolution.cache.cache import Cache, Candidates
from tasks.context import Context, Counts, Progress, Target, Untried

_PASSED = "passed_at"  # the note that a pass over all keys has served this deletion


def rehearse(target: Target) -> Untried:
    """Run every command that the steps send to the cache."""
    if cache := target.services.cache:
        cache.probe()
        target.services.rehearsed.once("cache", partial(rehearsal.rehearse, cache))
    return []


def preview(target: Target) -> Counts:
    """Keys that would be unlinked; a deletion counts them when they go, for a look costs a pass over all keys."""
    cache = target.services.cache
    if cache is None:
        return {}
    if not target.thorough:
        return {}
    candidates = cache.find_candidates([target.instance_id], [target.instance_name])
    by_id, _ = cache.by_id(target.instance_id, target.living, candidates)
    by_name, _ = cache.by_name(target.instance_name, target.living, candidates)
    return {"keys": len({*by_id, *by_name}) + cache.count_lost_messages(target.instance_name)}


def run(ctx: Context) -> Progress:
    """Unlink by id, and by name while this instance bears it; one pass serves all deletions that wait here."""
    cache = ctx.services.cache
    if cache is None or _PASSED in ctx.notes:
        return Progress.DONE
    passed_at = datetime.now(UTC).isoformat()
    others = companions.waiting_for_same_step(ctx.services.own, ctx.claim, without_note=_PASSED)
    ids = [ctx.instance_id, *(each.instance_id for each in others)]
    names = [ctx.instance_name, *(each.instance_name for each in others)]
    candidates = cache.find_candidates(ids, names)
    removed, kept = _unlink(ctx, ctx, cache, candidates)
    ctx.set_planned({"keys": removed})
    ctx.add_removed({"keys": removed})
    ctx.note(**{_PASSED: passed_at}, **({"kept_keys": kept} if kept else {}))
    ctx.save()
    for each in others:
        target = Target(ctx.services, each.instance_id, each.instance_name)
        removed, kept = _unlink(ctx, target, cache, candidates)
        notes = {_PASSED: passed_at, **({"kept_keys": kept} if kept else {})}
        companions.share_result(ctx.services.own, each, ctx.claim, {"keys": removed}, notes)
    return Progress.DONE


def _unlink(ctx: Context, target: Target, cache: Cache, candidates: Candidates) -> tuple[int, int]:
    """Unlink what is one instance's; how many keys went, and how many stayed that another one explains as well."""
    ctx.ensure_claim_held()
    mine, shared = cache.by_id(target.instance_id, target.living, candidates)
    removed = sum(cache.unlink(mine))
    with ctx.services.tenant.holding_name(target.instance_id, target.instance_name) as is_its_name:
        if is_its_name:
            named, shared_by_name = cache.by_name(target.instance_name, target.living, candidates)
            shared += shared_by_name
            removed += sum(cache.unlink(named)) + cache.remove_lost_messages(target.instance_name)
    return removed, len(shared)
