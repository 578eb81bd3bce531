"""Frees the name: fences the row, removes what is stored by name, has every gateway drop the instance from memory."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial

from shared import retry
from shared.database import timing
from shared.deletions import claims, companions
from shared.errors import LetheError, NotYet, Unreachable
from shared.evolution.cache.cache import Cache
from shared.evolution.gateway import Gateway, Stuck, Unanswered, can_be_addressed
from shared.evolution.rows.reservation import Found, Reservation
from shared.translations.marks import N_
from tasks import permission_check
from tasks.archiving import of_deletion as archiving
from tasks.context import Context, Counts, Progress, Target
from tasks.gateways import drops, in_memory
from tasks.gateways.drops import DROPPED, NOT_HELD
from tasks.leftovers import by_name, coverage

RESTART = N_("not_dropped: restart needed")
_DROPPED_AT, _SCANNED_AT = "dropped_at", "passed_at"  # the notes: all gateways were asked; its keys are unlinked
_RESERVED_AT = "reserved_at"  # the note: when the name was first reserved
_NAME_DONE = "name_done"  # the note: only the archive is left to do
_BRIEF_SECONDS = 1  # a create hardly meets a reservation that was shorter
_STUCK_SECONDS = 2  # a dead socket gives the same answer for ever: a few tries are enough
_POLL_SECONDS = 2


class DropPending(NotYet):
    """A gateway may still act on the name: it stays reserved, and the deletion waits."""


class DropImpossible(LetheError):
    """The gateway cannot drop the instance: its socket is dead. Nothing else of it is left; restart the gateway."""


class _NameTaken(Exception):
    """Another instance has the name now: nothing more is done by name."""


def rehearse(target: Target) -> None:
    """Remove queues that do not exist, and write where the archive goes; other steps try the rows and the media."""
    for number, queues in enumerate(target.services.queues):
        target.services.rehearsed.once(f"queues {number}", partial(queues.rehearse, target.instance_name))
    archiving.rehearse(target)


def preview(target: Target) -> Counts:
    """Count the gateways that would drop the instance, and what is stored by its name."""
    counts = Counter({"gateways": len(target.gateways)})
    for storage in target.services.storages:
        counts[storage.kind] = storage.count_named(target.instance_name, target.other_names)
    for queues in target.services.queues:
        counts.update(queues.count_named(target.instance_name, target.other_names))
    return dict(counts)


def run(ctx: Context) -> Progress:
    """Pass the point of no return, then remove what is stored by name, while the name is reserved.

    A deletion with an export writes its archive before the one and closes it after the other: no row goes before that.
    """
    permission_check.recheck_permission(ctx)
    if not archiving.write_first(ctx):
        return Progress.MORE
    if _NAME_DONE not in ctx.notes:
        progress = _free_name(ctx)
        if progress is Progress.MORE:
            return progress
        if ctx.needs_export:  # another try of what follows does nothing by name any more
            ctx.note(**{_NAME_DONE: True})
    return Progress.DONE if archiving.write_later(ctx) else Progress.MORE


def _free_name(ctx: Context) -> Progress:
    coverage.note(ctx)
    claims.make_irrevocable(ctx.services.own, ctx.claim)
    if ctx.services.tenant.fence(ctx.instance_id, ctx.deletion_id):
        ctx.note(fenced=True)
    ctx.ensure_claim_held()
    reservation = Reservation(ctx.services.tenant, ctx.instance_name, ctx.deletion_id, ctx.instance_id)
    try:
        return _work_by_name(ctx, reservation)
    except _NameTaken:
        _record_name_taken(ctx)
        return Progress.DONE


def _work_by_name(ctx: Context, reservation: Reservation) -> Progress:
    with _hold_name(ctx, reservation):
        if _RESERVED_AT not in ctx.notes:
            ctx.note(**{_RESERVED_AT: timing.now(ctx.services.own).isoformat()})
        by_name.remove_media(ctx)
    for gateway in ctx.services.gateways:
        _drop(ctx, gateway, reservation)
    with _hold_name(ctx, reservation):
        cache = ctx.services.cache
        if cache and _SCANNED_AT not in ctx.notes:
            is_large = cache.is_large()
            if is_large and _others_will_drop_soon(ctx):
                return Progress.MORE
            _unlink_named_keys(ctx, cache, for_others=is_large)
        by_name.remove_queues(ctx)  # after the drop: until then an event of the server creates them again
    _release_name(ctx, reservation)
    if in_memory.is_placeholder(ctx.instance_id):
        _ensure_dropped_everywhere(ctx)
    return Progress.DONE


def _ensure_dropped_everywhere(ctx: Context) -> None:
    """For an instance without a row: forget the gateways that could not drop it, so that a resume asks them again."""
    dropped = {url: outcome for url, outcome in ctx.notes["gateways"].items() if outcome != RESTART}
    if dropped != ctx.notes["gateways"]:
        ctx.note(gateways=dropped)
        raise DropImpossible


def _release_name(ctx: Context, reservation: Reservation) -> None:
    """Release the name now if no gateway can act on it any more; otherwise confirm waits, and releases it."""
    if ctx.notes.get(drops.SENT):
        with suppress(NotYet):  # each drop that is seen to finish here need not be waited for by confirm
            drops.poll_briefly(lambda: drops.ensure_finished(ctx, ctx.notes, reservation))
        return
    age = drops.age_seconds(ctx, ctx.notes[_RESERVED_AT])
    if age < _BRIEF_SECONDS:
        reservation.release()
    else:  # the server may still clean up, by name, after a create that the reservation refused
        drops.start_grace_period(ctx, 2 * age)


@contextmanager
def _hold_name(ctx: Context, reservation: Reservation) -> Iterator[None]:
    """Reserve and lock the name, and note which drop has finished since; raises _NameTaken."""
    with reservation.held(is_new=_RESERVED_AT not in ctx.notes) as found:
        drops.check_finished(ctx, ctx.notes, reservation, found)
        if found is Found.TAKEN:
            raise _NameTaken
        yield


def _record_name_taken(ctx: Context) -> None:
    outcomes = dict.fromkeys((gateway.url for gateway in ctx.services.gateways), RESTART)
    ctx.note(name_borne_again=True, gateways=outcomes | ctx.notes.get("gateways", {}))


def _drop(ctx: Context, gateway: Gateway, reservation: Reservation) -> None:
    """Have one gateway drop the instance; raises DropPending until its memory is free of it, or _NameTaken."""
    if gateway.url in ctx.notes.get("gateways", {}):
        return None
    if gateway.url in ctx.without_gateways:
        return _note_gateway(ctx, gateway, f"given up, {RESTART}")
    if not can_be_addressed(ctx.instance_name):
        return _note_gateway(ctx, gateway, RESTART)
    sent_at = ctx.notes.get(drops.SENT, {}).get(gateway.url)
    if gateway.state(ctx.instance_name) is None:
        return _note_gateway(ctx, gateway, DROPPED if sent_at else NOT_HELD)
    if sent_at and drops.age_seconds(ctx, sent_at) < ctx.services.settings.gateway_late_seconds:
        raise DropPending(f"gateway {gateway.url} was asked to drop the name and has not done it yet")
    # One gateway after the other: the reservation's row can show the end of one drop at a time.
    drops.poll_briefly(lambda: drops.ensure_finished(ctx, ctx.notes, reservation), _POLL_SECONDS)
    with _hold_name(ctx, reservation):
        reservation.arm()
        return _send_drop(ctx, gateway)


def _send_drop(ctx: Context, gateway: Gateway) -> None:
    ctx.ensure_claim_held()
    drops.record_sent(ctx, gateway.url)
    try:
        is_known = retry.call(lambda: gateway.drop(ctx.instance_name), seconds=_STUCK_SECONDS, only=Stuck)
        outcome = DROPPED if is_known else NOT_HELD  # not held: it was restarted a moment ago
    except Stuck:
        outcome = RESTART
    except Unreachable as error:
        if not isinstance(error, Unanswered):  # the gateway did not receive the request
            drops.record_not_taken(ctx, gateway.url)
        raise
    if outcome == DROPPED:
        drops.poll_briefly(lambda: _ensure_dropped(gateway, ctx.instance_name), _POLL_SECONDS)
        ctx.add_removed({"gateways": 1})
    else:
        drops.record_not_taken(ctx, gateway.url)
    _note_gateway(ctx, gateway, outcome)


def _ensure_dropped(gateway: Gateway, name: str) -> None:
    if gateway.state(name) is not None:
        raise DropPending(f"gateway {gateway.url} still holds the name in its memory")


def _note_gateway(ctx: Context, gateway: Gateway, outcome: str) -> None:
    ctx.note(gateways={**ctx.notes.get("gateways", {}), gateway.url: outcome})


def _others_will_drop_soon(ctx: Context) -> bool:
    """Whether to wait, once, for the drops of other deletions: one scan of all keys then serves them all."""
    if _DROPPED_AT in ctx.notes:
        return False
    ctx.note(**{_DROPPED_AT: datetime.now(UTC).isoformat()})
    return bool(companions.waiting_for_same_step(ctx.services.own, ctx.claim, without_note=_DROPPED_AT))


def _unlink_named_keys(ctx: Context, cache: Cache, *, for_others: bool) -> None:
    """Unlink the keys by name after the drop: until then a connected server may have written some."""
    scanned_at = datetime.now(UTC).isoformat()
    # Only other deletions that wait here after their own drops: before that, their names are not reserved.
    others = list[companions.Companion]()
    if for_others:
        others = companions.waiting_for_same_step(
            ctx.services.own, ctx.claim, without_note=_SCANNED_AT, with_note=_DROPPED_AT
        )
    candidates = cache.find_candidates([], [ctx.instance_name, *(each.instance_name for each in others)])
    ctx.add_removed({"keys": by_name.unlink_keys(ctx, cache, candidates)})
    ctx.note(**{_SCANNED_AT: scanned_at})
    for each in others:
        with Reservation(ctx.services.tenant, each.instance_name, each.deletion_id).locked() as is_reserved:
            if is_reserved:
                target = Target(ctx.services, each.instance_id, each.instance_name)
                counts = {"keys": by_name.unlink_keys(target, cache, candidates)}
                companions.share_result(ctx.services.own, each, ctx.claim, counts, {_SCANNED_AT: scanned_at})
