"""When a drop is over: the server's last statement deletes "Instance" by name, and so the name's reservation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared import retry
from shared.deletions import step_counts
from shared.errors import LetheError, NotYet
from shared.evolution.rows.reservation import Found, Reservation
from tasks.context import Context

GATEWAYS = "gateways"  # the note: what became of the name at each
SENT = "asked"  # the note: when each gateway was sent a drop
FINISHED = "acknowledged"  # the note: how the end of each drop was seen
BY_THE_SERVER, GIVEN_UP = "by the server", "not waited for: the gateway was given up"
RESTARTED, BY_THE_CLOCK = "not seen: the server was restarted", "not seen: the time for it is over"
NOT_FINISHED = "a gateway has not finished its clean-up by the name yet"
IN_GRACE_PERIOD = "the name stays reserved until no server acts by it any more"
_UNFINISHED_FOR = "unfinished_for"  # the note: how old the drop was when it was last seen to be under way
GRACE_SINCE, _GRACE_SECONDS = "quiet_since", "quiet_seconds"
_SHORTEST_GRACE_SECONDS, _LONGEST_GRACE_SECONDS = 0.1, 10.0
_LIKELY_SECONDS = 1.0  # a server that is alive has mostly finished by then


@dataclass(frozen=True)
class Drop:
    """A drop that a gateway was sent, and whose end has not been seen."""

    gateway: str
    asked_at: str


def record_sent(ctx: Context, url: str) -> None:
    """Write down that a gateway is about to be sent a drop: committed when this returns."""
    asked = {**ctx.notes.get(SENT, {}), url: step_counts.now(ctx.services.own).isoformat()}
    ctx.note_and_save(**{SENT: asked, FINISHED: _without(ctx.notes.get(FINISHED, {}), url), _UNFINISHED_FOR: 0})


def record_not_taken(ctx: Context, url: str) -> None:
    """The gateway did not take the drop: there is nothing to wait for."""
    ctx.note(**{SENT: _without(ctx.notes[SENT], url)})


def _without(notes: Mapping[str, str], url: str) -> dict[str, str]:
    return {each: value for each, value in notes.items() if each != url}


def pending(notes: Mapping[str, Any]) -> Drop | None:
    """The drop that is under way: at most one is at a time."""
    asked, ended = notes.get(SENT, {}), notes.get(FINISHED, {})
    return next((Drop(url, at) for url, at in asked.items() if url not in ended), None)


def check_finished(ctx: Context, notes: Mapping[str, Any], reservation: Reservation, found: Found) -> bool:
    """Whether no drop is under way any more, which is noted; `found` is what Reservation.put has just said."""
    drop = pending(notes)
    if drop is None:
        return True
    age = age_seconds(ctx, drop.asked_at)
    how = _how_it_ended(ctx, drop, age, found)
    if how is BY_THE_SERVER and drop.gateway not in notes.get(GATEWAYS, {}) and found is not Found.TAKEN:
        # Not seen to have dropped it: a create that failed may have cleaned up by the name instead.
        if _may_hold(ctx, drop.gateway):
            reservation.arm()
            return False
        age = _LONGEST_GRACE_SECONDS
    if how is None:
        ctx.note(**{_UNFINISHED_FOR: age})
        return False
    ctx.note(**{FINISHED: {**notes.get(FINISHED, {}), drop.gateway: how}})
    # Twice what it took, as far as that is known: it ended between the last look and this one.
    start_grace_period(ctx, age + notes.get(_UNFINISHED_FOR, 0))
    return True


def poll_briefly(check: Callable[[], None], seconds: float = 0.3) -> None:
    """Look again after 5 ms, 10 ms, 20 ms and so on: it is a matter of milliseconds, unless it is one of minutes."""
    retry.call(check, seconds=seconds, first_pause_seconds=0.005, only=NotYet)


def ensure_finished(ctx: Context, notes: Mapping[str, Any], reservation: Reservation) -> None:
    """Raise NotYet as long as a drop is under way."""
    if pending(notes) and not check_finished(ctx, notes, reservation, reservation.put()):
        raise NotYet(NOT_FINISHED, first_pause_seconds=0.1)


def ensure_grace_period_over(ctx: Context, notes: Mapping[str, Any], reservation: Reservation) -> None:
    """Raise NotYet until the reservation was left alone for twice as long as the drop took.

    A create that failed meanwhile makes the server clean up by the name once more, and nothing tells when.
    """
    found = reservation.put()
    if found is Found.TAKEN:
        return
    if found is Found.PUT:
        start_grace_period(ctx, notes[_GRACE_SECONDS])
        ctx.save()
        notes = ctx.notes
    left = notes[_GRACE_SECONDS] - age_seconds(ctx, notes[GRACE_SINCE])
    if left > 0:
        raise NotYet(IN_GRACE_PERIOD, first_pause_seconds=left)


def start_grace_period(ctx: Context, seconds: float) -> None:
    """From now on, nobody may touch the reservation for so long."""
    bounded = min(max(_SHORTEST_GRACE_SECONDS, seconds), _LONGEST_GRACE_SECONDS)
    ctx.note(**{GRACE_SINCE: step_counts.now(ctx.services.own).isoformat(), _GRACE_SECONDS: bounded})


def age_seconds(ctx: Context, moment: str) -> float:
    """How long ago that was, by the own database's clock: those of two hosts may differ."""
    return (step_counts.now(ctx.services.own) - datetime.fromisoformat(moment)).total_seconds()


def _how_it_ended(ctx: Context, drop: Drop, age: float, found: Found) -> str | None:
    if found is not Found.KEPT:
        return BY_THE_SERVER
    if drop.gateway in ctx.without_gateways:
        return GIVEN_UP
    if age > ctx.services.settings.gateway_late_seconds:
        return BY_THE_CLOCK
    return RESTARTED if age > _LIKELY_SECONDS and _is_down(ctx, drop.gateway) else None


def _is_down(ctx: Context, url: str) -> bool:
    """A gateway that is not listed any more cannot be looked at: its drop ends by the clock."""
    return any(gateway.url == url and gateway.is_down() for gateway in ctx.services.gateways)


def _may_hold(ctx: Context, url: str) -> bool:
    """Whether the gateway holds the name, as far as it answers."""
    try:
        return any(gateway.url == url and gateway.state(ctx.instance_name) for gateway in ctx.services.gateways)
    except LetheError:
        return True
