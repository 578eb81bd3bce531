"""Removes once more, by id, then verifies in every store that nothing of the instance is left."""

from datetime import UTC, datetime

from shared.deletions import companions
from shared.deletions.companions import Companion
from shared.errors import TransientError
from shared.evolution.cache.cache import Cache, Candidates
from shared.evolution.rows import counting
from shared.evolution.rows.reservation import Found, Reservation
from tasks.context import Context, Counts, Progress, Target
from tasks.gateways import drops
from tasks.leftovers import by_name

_SCANNED_AT = "passed_at"  # the note: when a scan of all keys found none of this instance
_NAME_IS_FREE = "name_is_free"  # the note: the name's reservation was removed
_SCAN_VALID_SECONDS = 30
_GRACE_SECONDS = 1.0  # waited for in place: to postpone the step costs more than half of that


class StillThere(TransientError):
    """Data of the instance is still there, or was written again."""


def rehearse(target: Target) -> None:
    """Do nothing: the other steps try the stores that this one uses."""


def preview(target: Target) -> Counts:  # noqa: ARG001 - every step has this signature
    """Count nothing: the earlier steps have removed everything, unless a connected server writes again."""
    return {}


def run(ctx: Context) -> Progress:
    """Release the name, remove what a connected server wrote meanwhile, then verify; raises StillThere."""
    reservation = Reservation(ctx.services.tenant, ctx.instance_name, ctx.deletion_id, ctx.instance_id)
    _release_name(ctx, reservation)
    tenant = ctx.services.tenant
    plan = tenant.plan()
    is_unused = tenant.find(name=ctx.instance_name) is None  # else what is kept by the name is another instance's
    has_no_keys = _unlink_keys(ctx, reservation, by_name_too=is_unused)
    named = _remove_named(ctx, reservation) if is_unused else []
    if not ctx.erase_media():
        return Progress.MORE
    tables = counting.remaining(tenant, plan, ctx.instance_id)
    if tables:
        if not ctx.erase_rows([owned for owned in plan.tables if owned.table in tables]):
            return Progress.MORE
        tables = counting.remaining(tenant, plan, ctx.instance_id)
    left = [f'rows in "{table}"' for table in tables]
    if ctx.services.cache and not has_no_keys:
        candidates = ctx.services.cache.find_candidates([ctx.instance_id], [ctx.instance_name])
        left += by_name.find_keys(ctx, ctx.services.cache, candidates, by_name_too=is_unused)
    left += [storage.kind for storage in ctx.services.storages if storage.count(ctx.instance_id)]
    left += named
    if reservation.is_there():
        left.append("the reservation of the name")
    if left:
        raise StillThere(f"still there: {', '.join(left)}")
    ctx.note(name_in_use=not is_unused, verified_empty=_stores(ctx), verified_at=datetime.now(UTC).isoformat())
    for storage in ctx.services.storages:
        if storage.reach:
            ctx.note(**{f"{storage.kind}_seen": storage.reach})
    return Progress.DONE


def _release_name(ctx: Context, reservation: Reservation) -> None:
    """Remove the name's reservation once no gateway acts on the name any more; raises NotYet until then."""
    if _NAME_IS_FREE in ctx.notes:
        return
    deregister = ctx.claim.earlier_notes["deregister"]
    is_reserved = deregister.get(drops.SENT) or drops.GRACE_SINCE in deregister
    if is_reserved and not deregister.get("name_borne_again"):
        drops.poll_briefly(lambda: drops.ensure_finished(ctx, {**deregister, **ctx.notes}, reservation))
        drops.poll_briefly(
            lambda: drops.ensure_grace_period_over(ctx, {**deregister, **ctx.notes}, reservation), _GRACE_SECONDS
        )
        reservation.release()
    ctx.note(**{_NAME_IS_FREE: True})


def _remove_named(ctx: Context, reservation: Reservation) -> list[str]:
    """Remove what a server wrote by the name meanwhile; returns what is still there, in words."""
    if by_name.find_kept(ctx):
        with reservation.held() as found:
            if found is Found.TAKEN:
                return []
            by_name.remove_media(ctx)
            by_name.remove_queues(ctx)
        reservation.release()
    outcomes = ctx.claim.earlier_notes["deregister"].get(drops.GATEWAYS, {})
    dropped = {url for url, outcome in outcomes.items() if outcome in (drops.DROPPED, drops.NOT_HELD)}
    return [*by_name.find_kept(ctx), *by_name.find_holders(ctx, dropped)]


def _unlink_keys(ctx: Context, reservation: Reservation, *, by_name_too: bool) -> bool:
    """Unlink the instance's keys; True when it had none. One scan of all keys serves all deletions that wait here."""
    cache = ctx.services.cache
    if cache is None:
        return True
    scanned_at, others = datetime.now(UTC).isoformat(), list[Companion]()
    if _was_just_scanned(ctx):
        candidates = Candidates(
            {ctx.instance_id}, {ctx.instance_name}
        )  # the key whose name is known is checked all the same
    else:
        others = companions.waiting_for_same_step(ctx.services.own, ctx.claim, without_note=_SCANNED_AT)
        candidates = cache.find_candidates(
            [ctx.instance_id, *(each.instance_id for each in others)],
            [ctx.instance_name, *(each.instance_name for each in others)],
        )
    removed = _unlink(ctx, ctx, cache, candidates)
    if by_name_too:
        removed += _unlink_named(ctx, cache, candidates, reservation)
    ctx.add_removed({"keys": removed})
    for each in others:
        target = Target(ctx.services, each.instance_id, each.instance_name)
        found = _unlink(ctx, target, cache, candidates)
        # Keys by its name are left to its own scan, which sees whose name it is.
        notes = {} if found or by_name.count_keys(target, cache, candidates) else {_SCANNED_AT: scanned_at}
        companions.share_result(ctx.services.own, each, ctx.claim, {"keys": found}, notes)
    return removed == 0


def _unlink_named(ctx: Context, cache: Cache, candidates: Candidates, reservation: Reservation) -> int:
    """Unlink the keys of the name, which is reserved meanwhile; returns how many."""
    if not by_name.count_keys(ctx, cache, candidates):
        return 0
    with reservation.held() as found:
        if found is Found.TAKEN:
            return 0
        removed = by_name.unlink_keys(ctx, cache, candidates)
    reservation.release()
    return removed


def _was_just_scanned(ctx: Context) -> bool:
    """Whether another deletion's scan found no key of this instance a moment ago; an older scan proves nothing."""
    scanned_at = ctx.notes.get(_SCANNED_AT)
    if scanned_at is None:
        return False
    return (datetime.now(UTC) - datetime.fromisoformat(scanned_at)).total_seconds() < _SCAN_VALID_SECONDS


def _unlink(ctx: Context, target: Target, cache: Cache, candidates: Candidates) -> int:
    ctx.ensure_claim_held()
    return sum(cache.unlink(cache.by_id(target.instance_id, target.had_by_others, candidates)[0]))


def _stores(ctx: Context) -> list[str]:
    stores = ["rows", *(storage.kind for storage in ctx.services.storages)]
    return [*stores, "keys"] if ctx.services.cache else stores
