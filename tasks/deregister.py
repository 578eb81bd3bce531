"""Takes the name away: fences the row, removes what is kept by name, drops it from every gateway's memory."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial

from shared import retry
from shared.deletions import claims, companions, step_counts
from shared.errors import LetheError, NotYet, Unreachable
from shared.evolution.cache.cache import Cache, Candidates
from shared.evolution.gateway import Gateway, Stuck, Unanswered, can_be_addressed
from shared.evolution.rows.reservation import Found, Reservation
from tasks import permission_check
from tasks.context import Context, Counts, Progress, Target, Untried
from tasks.gateways import drops, in_memory
from tasks.gateways.drops import SENT

DROPPED, NOT_HELD = "dropped", "not held"
RESTART = "not_dropped: restart needed"
_DROPPED, _PASSED = "dropped_at", "passed_at"  # the notes that all gateways dropped it, and that its keys went
_RESERVED = "reserved_at"  # the note: when the name was first reserved
_BRIEF_SECONDS = 1  # a name that was reserved for less has hardly been tried to be created
_STUCK_SECONDS = 2  # a dead socket answers the same for ever: a few tries are enough
_SOON_SECONDS = 2


class DropPending(NotYet):
    """A gateway may still act on the name: it stays reserved, and the deletion waits."""


class DropImpossible(LetheError):
    """The gateway cannot drop the instance: its socket is dead, and nothing else of it is left; restart the gateway."""


class _NameTaken(Exception):
    """Another instance has the name now: nothing is done by it any more."""


def rehearse(target: Target) -> Untried:
    """Remove queues that do not exist. Its rows are tried with those of delete_records, its media by delete_files."""
    for number, queues in enumerate(target.services.queues):
        target.services.rehearsed.once(f"queues {number}", partial(queues.rehearse, target.instance_name))
    return []


def preview(target: Target) -> Counts:
    """Gateways that would drop the instance from their memory, and what is kept by its name."""
    counts = Counter({"gateways": len(target.gateways)})
    for storage in target.services.storages:
        counts[storage.unit] = storage.count_named(target.instance_name, target.neighbours)
    for queues in target.services.queues:
        counts.update(queues.count_named(target.instance_name, target.neighbours))
    return dict(counts)


def run(ctx: Context) -> Progress:
    """Pass the point of no return, then work by name under its reservation, for the last time."""
    permission_check.recheck_permission(ctx)
    claims.make_irrevocable(ctx.services.own, ctx.claim)
    if ctx.services.tenant.fence(ctx.instance_id, ctx.deletion_id):
        ctx.note(fenced=True)
    ctx.ensure_claim_held()
    reservation = Reservation(ctx.services.tenant, ctx.instance_name, ctx.deletion_id)
    try:
        return _work_by_name(ctx, reservation)
    except _NameTaken:
        _record_name_taken(ctx)
        return Progress.DONE


def _work_by_name(ctx: Context, reservation: Reservation) -> Progress:
    with _hold_name(ctx, reservation):
        if _RESERVED not in ctx.notes:
            ctx.note(**{_RESERVED: step_counts.now(ctx.services.own).isoformat()})
        _remove_named_media(ctx)
    for gateway in ctx.services.gateways:
        _drop(ctx, gateway, reservation)
    with _hold_name(ctx, reservation):
        cache = ctx.services.cache
        if cache and _PASSED not in ctx.notes:
            if cache.is_large() and _others_will_drop_soon(ctx):
                return Progress.MORE
            _purge_named_keys(ctx, cache)
        _remove_named_queues(ctx)
    _release_name(ctx, reservation)
    if in_memory.is_placeholder(ctx.instance_id):
        _ensure_dropped_everywhere(ctx)
    return Progress.DONE


def _ensure_dropped_everywhere(ctx: Context) -> None:
    """Of an instance without a row nothing else was there; a gateway that could not drop it is asked again."""
    dropped = {url: outcome for url, outcome in ctx.notes["gateways"].items() if outcome != RESTART}
    if dropped != ctx.notes["gateways"]:
        ctx.note(gateways=dropped)
        raise DropImpossible


def _release_name(ctx: Context, reservation: Reservation) -> None:
    """At once where nothing can be under way by the name; else it is confirm that waits, and gives it back."""
    if ctx.notes.get(SENT):
        with suppress(NotYet):  # the sooner the end is seen, the less confirm waits
            drops.poll_briefly(lambda: drops.ensure_finished(ctx, ctx.notes, reservation))
        return
    age = drops.age_seconds(ctx, ctx.notes[_RESERVED])
    if age < _BRIEF_SECONDS:
        reservation.release()
    else:  # a create that was refused meanwhile may still be cleaned up by the name
        drops.start_grace_period(ctx, 2 * age)


@contextmanager
def _hold_name(ctx: Context, reservation: Reservation) -> Iterator[None]:
    """Hold the name, and see what became of it since it was held last; raises _NameTaken."""
    with reservation.held() as found:
        drops.check_finished(ctx, ctx.notes, reservation, found)
        if found is Found.TAKEN:
            raise _NameTaken
        yield


def _record_name_taken(ctx: Context) -> None:
    dropped = ctx.notes.get("gateways", {})
    outcomes = {gateway.url: dropped.get(gateway.url, RESTART) for gateway in ctx.services.gateways}
    ctx.note(
        name_borne_again=True,
        gateways=outcomes,
    )


def _remove_named_media(ctx: Context) -> None:
    kept: list[str] = []
    for storage in ctx.storages():
        ctx.ensure_claim_held()
        removed, shared = storage.remove_named(ctx.instance_name, ctx.deletion_id, ctx.neighbours)
        kept += shared
        ctx.add_removed({storage.unit: removed})
    if kept:
        ctx.note(kept_media=len(kept))  # another living instance's name leads to them as well


def _remove_named_queues(ctx: Context) -> None:
    # After the drop: an event of a connected server makes them anew.
    kept = 0
    for queues in ctx.queues():
        ctx.ensure_claim_held()
        taken = queues.remove_named(ctx.instance_name, ctx.neighbours)
        kept += taken.kept
        ctx.add_removed(taken.counts)
    if kept:
        ctx.note(kept_queues=kept)  # a neighbour's or everybody's as well


def _drop(ctx: Context, gateway: Gateway, reservation: Reservation) -> None:
    """Have one gateway drop the name, and see that it did; raises DropPending while that is not sure, or _NameTaken."""
    if gateway.url in ctx.notes.get("gateways", {}):
        return None
    if gateway.url in ctx.without_gateways:
        return _note_gateway(ctx, gateway, f"given up, {RESTART}")
    if not can_be_addressed(ctx.instance_name):
        return _note_gateway(ctx, gateway, RESTART)
    asked_at = ctx.notes.get(SENT, {}).get(gateway.url)
    if gateway.state(ctx.instance_name) is None:
        return _note_gateway(ctx, gateway, DROPPED if asked_at else NOT_HELD)
    if asked_at and drops.age_seconds(ctx, asked_at) < ctx.services.settings.gateway_late_seconds:
        raise DropPending(f"gateway {gateway.url} was asked to drop the name and has not done it yet")
    # One after the other: the one row can tell of one drop at a time that it is over.
    drops.poll_briefly(lambda: drops.ensure_finished(ctx, ctx.notes, reservation), _SOON_SECONDS)
    with _hold_name(ctx, reservation):
        reservation.arm()
        return _send_drop(ctx, gateway)


def _send_drop(ctx: Context, gateway: Gateway) -> None:
    ctx.ensure_claim_held()
    drops.record_sent(ctx, gateway.url)
    try:
        is_known = retry.call(lambda: gateway.drop(ctx.instance_name), seconds=_STUCK_SECONDS, only=Stuck)
    except Stuck:  # it refused, so nothing of it is under way
        drops.record_not_taken(ctx, gateway.url)
        return _note_gateway(ctx, gateway, RESTART)
    except Unanswered:
        raise
    except Unreachable:  # it never got the request
        drops.record_not_taken(ctx, gateway.url)
        raise
    if not is_known:  # it was restarted a moment ago, so nothing is under way
        drops.record_not_taken(ctx, gateway.url)
        return _note_gateway(ctx, gateway, NOT_HELD)
    drops.poll_briefly(lambda: _ensure_dropped(gateway, ctx.instance_name), _SOON_SECONDS)
    ctx.add_removed({"gateways": 1})
    return _note_gateway(ctx, gateway, DROPPED)


def _ensure_dropped(gateway: Gateway, name: str) -> None:
    if gateway.state(name) is not None:
        raise DropPending(f"gateway {gateway.url} still holds the name in its memory")


def _note_gateway(ctx: Context, gateway: Gateway, outcome: str) -> None:
    ctx.note(gateways={**ctx.notes.get("gateways", {}), gateway.url: outcome})


def _others_will_drop_soon(ctx: Context) -> bool:
    """Whether to let them, once, so that one pass over all keys serves all."""
    if _DROPPED in ctx.notes:
        return False
    ctx.note(**{_DROPPED: datetime.now(UTC).isoformat()})
    return bool(companions.waiting_for_same_step(ctx.services.own, ctx.claim, without_note=_DROPPED))


def _purge_named_keys(ctx: Context, cache: Cache) -> None:
    """After the drop: a connected server may have written some since they were purged."""
    passed_at = datetime.now(UTC).isoformat()
    # Of who waits here after its drop: a name that is not reserved is not ours to act on.
    others = companions.waiting_for_same_step(ctx.services.own, ctx.claim, without_note=_PASSED, with_note=_DROPPED)
    candidates = cache.find_candidates([], [ctx.instance_name, *(each.instance_name for each in others)])
    ctx.add_removed({"keys": _unlink_named(ctx, cache, candidates)})
    ctx.note(**{_PASSED: passed_at})
    for each in others:
        with Reservation(ctx.services.tenant, each.instance_name, each.deletion_id).locked() as is_reserved:
            if is_reserved:
                target = Target(ctx.services, each.instance_id, each.instance_name)
                counts = {"keys": _unlink_named(target, cache, candidates)}
                companions.share_result(ctx.services.own, each, ctx.claim, counts, {_PASSED: passed_at})


def _unlink_named(target: Target, cache: Cache, candidates: Candidates) -> int:
    mine, _ = cache.by_name(target.instance_name, target.living, candidates)
    return sum(cache.unlink(mine)) + cache.remove_lost_messages(target.instance_name)
