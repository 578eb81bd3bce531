"""Unlinks the instance's keys from Evolution's Redis cache, by id and by name."""

from datetime import UTC, datetime
from functools import partial

from shared.deletions import companions
from shared.evolution.cache import rehearsal
from shared.evolution.cache.cache import Cache, Candidates
from tasks.context import Context, Counts, Progress, Target

_SCANNED_AT = "passed_at"  # the note: when a scan of all keys has served this deletion


def rehearse(target: Target) -> None:
    """Run every command that the steps send to the cache."""
    if cache := target.services.cache:
        cache.probe()
        target.services.rehearsed.once("cache", partial(rehearsal.rehearse, cache))


def preview(target: Target) -> Counts:
    """Count the keys; a deletion counts them while it unlinks them, because counting needs a scan of all keys."""
    cache = target.services.cache
    if cache is None or not target.thorough:
        return {}
    candidates = cache.find_candidates([target.instance_id], [target.instance_name])
    by_id, _ = cache.by_id(target.instance_id, target.had_by_others, candidates)
    by_name, _ = cache.by_name(target.instance_name, target.had_by_others, candidates)
    return {"keys": len({*by_id, *by_name}) + cache.count_lost_messages(target.instance_name)}


def run(ctx: Context) -> Progress:
    """Unlink by id, and by name while the instance still has it; one scan serves all deletions that wait here."""
    cache = ctx.services.cache
    if cache is None or _SCANNED_AT in ctx.notes:
        return Progress.DONE
    scanned_at = datetime.now(UTC).isoformat()
    others = companions.waiting_for_same_step(ctx.services.own, ctx.claim, without_note=_SCANNED_AT)
    targets: list[Target] = [ctx, *(Target(ctx.services, each.instance_id, each.instance_name) for each in others)]
    candidates = cache.find_candidates([each.instance_id for each in targets], [each.instance_name for each in targets])
    for other, target in zip((None, *others), targets, strict=True):
        removed, kept = _unlink(ctx, target, cache, candidates)
        counts, notes = {"keys": removed}, {_SCANNED_AT: scanned_at, **({"kept_keys": kept} if kept else {})}
        if other:
            companions.share_result(ctx.services.own, other, ctx.claim, counts, notes)
        else:
            ctx.set_planned(counts)
            ctx.add_removed(counts)
            ctx.note(**notes)
            if others:  # else they are stored with the end of the step
                ctx.save()
    return Progress.DONE


def _unlink(ctx: Context, target: Target, cache: Cache, candidates: Candidates) -> tuple[int, int]:
    """Unlink the instance's keys. Returns (removed, kept): kept keys also match another instance's name."""
    ctx.ensure_claim_held()
    keys, shared = cache.by_id(target.instance_id, target.had_by_others, candidates)
    removed = sum(cache.unlink(keys))
    with ctx.services.tenant.holding_name(target.instance_id, target.instance_name) as is_its_name:
        if is_its_name:
            keys, shared_by_name = cache.by_name(target.instance_name, target.had_by_others, candidates)
            shared += shared_by_name
            removed += sum(cache.unlink(keys)) + cache.remove_lost_messages(target.instance_name)
    return removed, len(shared)
