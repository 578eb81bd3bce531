"""Sweeps once more by id, then looks into every store: only what is seen to be gone is gone."""

from datetime import UTC, datetime

from shared.deletions import companions, step_counts
from shared.errors import TransientError
from shared.evolution.cache.cache import Cache, Candidates
from shared.evolution.rows import counting
from shared.evolution.rows.reservation import Reservation
from tasks.context import Context, Counts, Progress, Target, Untried
from tasks.gateways import drops

_PASSED = "passed_at"  # the note that a pass over all keys has served this deletion
_NAME_IS_FREE = "name_is_free"  # the note that the name was given back
_FRESH_SECONDS = 30


class StillThere(TransientError):
    """Something of the instance is still there, or was written again."""


def rehearse(target: Target) -> Untried:  # noqa: ARG001 - every step has this signature
    """It uses the stores that the other steps have tried."""
    return []


def preview(target: Target) -> Counts:  # noqa: ARG001 - every step has this signature
    """Nothing is left for this step to remove, unless a connected server writes it again."""
    return {}


def run(ctx: Context) -> Progress:
    """Give the name back, remove what a connected server wrote meanwhile, then verify; raises StillThere."""
    _release_name(ctx)
    tenant = ctx.services.tenant
    plan = tenant.plan()
    keys_are_gone = _sweep_keys(ctx)
    if not _sweep_media(ctx):
        return Progress.MORE
    tables = counting.remaining(tenant, plan, ctx.instance_id)
    if tables:
        if not ctx.erase_rows([owned for owned in plan.tables if owned.table in tables]):
            return Progress.MORE
        tables = counting.remaining(tenant, plan, ctx.instance_id)
    left = [*(f'rows in "{table}"' for table in tables), *_look_elsewhere(ctx, keys_are_gone)]
    if left:
        raise StillThere(f"still there: {', '.join(left)}")
    ctx.note(verified_empty=_stores(ctx), verified_at=datetime.now(UTC).isoformat())
    return Progress.DONE


def _release_name(ctx: Context) -> None:
    """When what the gateways were asked to do by it is over; raises NotYet until then."""
    if _NAME_IS_FREE in ctx.notes:
        return
    deregister = step_counts.notes_of(ctx.services.own, ctx.deletion_id, "deregister")
    may_be_in_use = deregister.get(drops.SENT) or drops.GRACE_SINCE in deregister
    if may_be_in_use and not deregister.get("name_borne_again"):
        reservation = Reservation(ctx.services.tenant, ctx.instance_name, ctx.deletion_id)
        drops.poll_briefly(lambda: drops.ensure_finished(ctx, {**deregister, **ctx.notes}, reservation))
        drops.poll_briefly(lambda: drops.ensure_grace_period_over(ctx, {**deregister, **ctx.notes}, reservation))
        reservation.release()
    ctx.note(**{_NAME_IS_FREE: True})


def _sweep_keys(ctx: Context) -> bool:
    """Whether none was found, by a pass over all keys; one pass serves all deletions that wait here."""
    cache = ctx.services.cache
    if cache is None:
        return True
    if _was_served(ctx):  # a moment ago; the one key whose name is known is looked at all the same
        return _sweep_own(ctx, cache, Candidates({ctx.instance_id}, set()))
    passed_at = datetime.now(UTC).isoformat()
    others = companions.waiting_for_same_step(ctx.services.own, ctx.claim, without_note=_PASSED)
    candidates = cache.find_candidates([ctx.instance_id, *(each.instance_id for each in others)])
    is_empty = _sweep_own(ctx, cache, candidates)
    for each in others:
        found = _unlink(ctx, Target(ctx.services, each.instance_id, each.instance_name), cache, candidates)
        companions.share_result(
            ctx.services.own, each, ctx.claim, {"keys": found}, {} if found else {_PASSED: passed_at}
        )
    return is_empty


def _sweep_own(ctx: Context, cache: Cache, candidates: Candidates) -> bool:
    removed = _unlink(ctx, ctx, cache, candidates)
    ctx.add_removed({"keys": removed})
    return removed == 0


def _was_served(ctx: Context) -> bool:
    """Whether another deletion's pass has just found nothing of ours: an older one proves nothing any more."""
    passed_at = ctx.notes.get(_PASSED)
    age = datetime.now(UTC) - datetime.fromisoformat(passed_at) if passed_at else None
    return age is not None and age.total_seconds() < _FRESH_SECONDS


def _unlink(ctx: Context, target: Target, cache: Cache, candidates: Candidates) -> int:
    ctx.ensure_claim_held()
    return sum(cache.unlink(cache.by_id(target.instance_id, target.living, candidates)[0]))


def _sweep_media(ctx: Context) -> bool:
    """False when the slice was over first."""
    for storage in ctx.storages():
        for count in storage.erase(ctx.instance_id, ctx.deletion_id):
            ctx.add_removed({storage.unit: count})
            if ctx.slice_is_over():
                return False
    return True


def _look_elsewhere(ctx: Context, keys_are_gone: bool) -> list[str]:
    services, left = ctx.services, []
    if services.cache and not keys_are_gone and services.cache.by_id(ctx.instance_id, ctx.living)[0]:
        left.append("cache keys")
    left += [storage.unit for storage in services.storages if storage.count(ctx.instance_id)]
    return left


def _stores(ctx: Context) -> list[str]:
    stores = ["rows", *(storage.unit for storage in ctx.services.storages)]
    return [*stores, "keys"] if ctx.services.cache else stores
