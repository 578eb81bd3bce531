"""Takes the name away: fences the row, removes what is kept by name, drops it from every gateway's memory."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from shared import retry
from shared.deletions import claims, companions, step_counts
from shared.errors import LetheError, NotYet, Unreachable
from shared.evolution.cache.cache import Cache, Candidates
from shared.evolution.gateway import Gateway, Stuck, Unanswered, can_be_addressed
from shared.evolution.rows.reservation import Found, Reservation
from tasks import rights
from tasks.context import Context, Counts, Progress, Target
from tasks.gateways import acknowledgement, in_memory
from tasks.gateways.acknowledgement import ASKED

DROPPED, NOT_HELD = "dropped", "not held"
RESTART = "not_dropped: restart needed"
_DROPPED, _PASSED = "dropped_at", "passed_at"  # the notes that all gateways dropped it, and that its keys went
_RESERVED = "reserved_at"  # the note: when the name was first reserved
_BRIEF_SECONDS = 1  # a name that was reserved for less has hardly been tried to be created
_STUCK_SECONDS = 2  # a dead socket answers the same for ever: a few tries are enough
_SOON_SECONDS = 2


class StillHeld(NotYet):
    """A gateway may still act on the name: it stays reserved, and the deletion waits."""


class StillRemembered(LetheError):
    """The gateway cannot drop the instance: its socket is dead, and nothing else of it is left; restart the gateway."""


class _Taken(Exception):
    """Another instance has the name now: nothing is done by it any more."""


def preview(target: Target) -> Counts:
    """Gateways that would drop the instance from their memory, and what is kept by its name."""
    counts = Counter({"gateways": len(target.gateways)})
    for storage in target.services.storages:
        storage.probe()
        counts[storage.unit] = storage.count_named(target.instance_name, target.neighbours)
    for queues in target.services.queues:
        counts.update(queues.count_named(target.instance_name, target.neighbours))
    return dict(counts)


def run(ctx: Context) -> Progress:
    """Pass the point of no return, then work by name under its reservation, for the last time."""
    rights.look_again(ctx)
    claims.make_irrevocable(ctx.services.own, ctx.claim)
    if ctx.services.tenant.fence(ctx.instance_id, ctx.deletion_id):
        ctx.note(fenced=True)
    ctx.still_ours()
    reservation = Reservation(ctx.services.tenant, ctx.instance_name, ctx.deletion_id)
    try:
        return _work_by_name(ctx, reservation)
    except _Taken:
        _leave_to_the_new_instance(ctx)
        return Progress.DONE


def _work_by_name(ctx: Context, reservation: Reservation) -> Progress:
    with _held(ctx, reservation):
        if _RESERVED not in ctx.notes:
            ctx.note(**{_RESERVED: step_counts.now(ctx.services.own).isoformat()})
        _remove_named_media(ctx)
    for gateway in ctx.services.gateways:
        _drop(ctx, gateway, reservation)
    with _held(ctx, reservation):
        cache = ctx.services.cache
        if cache and _PASSED not in ctx.notes:
            if cache.is_large() and _others_are_about_to_drop(ctx):
                return Progress.MORE
            _purge_named_keys(ctx, cache)
        _remove_named_queues(ctx)
    _give_the_name_back(ctx, reservation)
    if in_memory.is_stand_in(ctx.instance_id):
        _see_that_it_was_dropped(ctx)
    return Progress.DONE


def _see_that_it_was_dropped(ctx: Context) -> None:
    """Of an instance without a row nothing else was there; a gateway that could not drop it is asked again."""
    dropped = {url: outcome for url, outcome in ctx.notes["gateways"].items() if outcome != RESTART}
    if dropped != ctx.notes["gateways"]:
        ctx.note(gateways=dropped)
        raise StillRemembered


def _give_the_name_back(ctx: Context, reservation: Reservation) -> None:
    """At once where nothing can be under way by the name; else it is confirm that waits, and gives it back."""
    if ctx.notes.get(ASKED):
        with suppress(NotYet):  # the sooner the end is seen, the less confirm waits
            acknowledgement.soon(lambda: acknowledgement.wait(ctx, ctx.notes, reservation))
        return
    age = acknowledgement.age_seconds(ctx, ctx.notes[_RESERVED])
    if age < _BRIEF_SECONDS:
        reservation.release()
    else:  # a create that was refused meanwhile may still be cleaned up by the name
        acknowledgement.begin_quiet(ctx, 2 * age)


@contextmanager
def _held(ctx: Context, reservation: Reservation) -> Iterator[None]:
    """Hold the name, and see what became of it since it was held last; raises _Taken."""
    with reservation.held() as found:
        acknowledgement.look(ctx, ctx.notes, reservation, found)
        if found is Found.TAKEN:
            raise _Taken
        yield


def _leave_to_the_new_instance(ctx: Context) -> None:
    dropped = ctx.notes.get("gateways", {})
    outcomes = {gateway.url: dropped.get(gateway.url, RESTART) for gateway in ctx.services.gateways}
    ctx.note(
        name_borne_again=True,
        gateways=outcomes,
    )


def _remove_named_media(ctx: Context) -> None:
    kept: list[str] = []
    for storage in ctx.storages():
        ctx.still_ours()
        removed, shared = storage.remove_named(ctx.instance_name, ctx.deletion_id, ctx.neighbours)
        kept += shared
        ctx.removed({storage.unit: removed})
    if kept:
        ctx.note(kept_media=len(kept))  # another living instance's name leads to them as well


def _remove_named_queues(ctx: Context) -> None:
    # After the drop: an event of a connected server makes them anew.
    kept = 0
    for queues in ctx.queues():
        ctx.still_ours()
        taken = queues.remove_named(ctx.instance_name, ctx.neighbours)
        kept += taken.kept
        ctx.removed(taken.counts)
    if kept:
        ctx.note(kept_queues=kept)  # a neighbour's or everybody's as well


def _drop(ctx: Context, gateway: Gateway, reservation: Reservation) -> None:
    """Have one gateway drop the name, and see that it did; raises StillHeld while that is not sure, or _Taken."""
    if gateway.url in ctx.notes.get("gateways", {}):
        return None
    if gateway.url in ctx.without_gateways:
        return _note_gateway(ctx, gateway, f"given up, {RESTART}")
    if not can_be_addressed(ctx.instance_name):
        return _note_gateway(ctx, gateway, RESTART)
    asked_at = ctx.notes.get(ASKED, {}).get(gateway.url)
    if gateway.state(ctx.instance_name) is None:
        return _note_gateway(ctx, gateway, DROPPED if asked_at else NOT_HELD)
    if asked_at and acknowledgement.age_seconds(ctx, asked_at) < ctx.services.settings.gateway_late_seconds:
        raise StillHeld(f"gateway {gateway.url} was asked to drop the name and has not done it yet")
    # One after the other: the one row can tell of one drop at a time that it is over.
    acknowledgement.soon(lambda: acknowledgement.wait(ctx, ctx.notes, reservation), _SOON_SECONDS)
    with _held(ctx, reservation):
        reservation.arm()
        return _ask_to_drop(ctx, gateway)


def _ask_to_drop(ctx: Context, gateway: Gateway) -> None:
    ctx.still_ours()
    acknowledgement.begin(ctx, gateway.url)
    try:
        is_known = retry.call(lambda: gateway.drop(ctx.instance_name), seconds=_STUCK_SECONDS, only=Stuck)
    except Stuck:  # it refused, so nothing of it is under way
        acknowledgement.forget(ctx, gateway.url)
        return _note_gateway(ctx, gateway, RESTART)
    except Unanswered:
        raise
    except Unreachable:  # it never got the request
        acknowledgement.forget(ctx, gateway.url)
        raise
    if not is_known:  # it was restarted a moment ago, so nothing is under way
        acknowledgement.forget(ctx, gateway.url)
        return _note_gateway(ctx, gateway, NOT_HELD)
    acknowledgement.soon(lambda: _see_that_it_is_gone(gateway, ctx.instance_name), _SOON_SECONDS)
    ctx.removed({"gateways": 1})
    return _note_gateway(ctx, gateway, DROPPED)


def _see_that_it_is_gone(gateway: Gateway, name: str) -> None:
    if gateway.state(name) is not None:
        raise StillHeld(f"gateway {gateway.url} still holds the name in its memory")


def _note_gateway(ctx: Context, gateway: Gateway, outcome: str) -> None:
    ctx.note(gateways={**ctx.notes.get("gateways", {}), gateway.url: outcome})


def _others_are_about_to_drop(ctx: Context) -> bool:
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
    proposals = cache.find_candidates([], [ctx.instance_name, *(each.instance_name for each in others)])
    ctx.removed({"keys": _unlink_named(ctx, cache, proposals)})
    ctx.note(**{_PASSED: passed_at})
    for each in others:
        with Reservation(ctx.services.tenant, each.instance_name, each.deletion_id).locked() as is_reserved:
            if is_reserved:
                target = Target(ctx.services, each.instance_id, each.instance_name)
                counts = {"keys": _unlink_named(target, cache, proposals)}
                companions.share_result(ctx.services.own, each, ctx.claim, counts, {_PASSED: passed_at})


def _unlink_named(target: Target, cache: Cache, proposals: Candidates) -> int:
    mine, _ = cache.by_name(target.instance_name, target.living, proposals)
    return sum(cache.unlink(mine)) + cache.remove_field(target.instance_name)
