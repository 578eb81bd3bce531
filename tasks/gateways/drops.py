"""Drops: which gateways were asked to drop the instance, and when the server's clean-up by name has finished."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from shared.database import timing
from shared.errors import LetheError, NotYet
from shared.evolution.rows.reservation import Found, Reservation
from shared.translations.marks import N_
from tasks.context import Context

# A server's last statement deletes "Instance" by name, and so the row that reserves the name: its absence acknowledges.
DROPPED, NOT_HELD = N_("dropped"), N_("not held")  # outcomes after which a gateway's memory is free of the name
GATEWAYS = "gateways"  # the note: each gateway's outcome
SENT = "asked"  # the note: when each gateway was sent a drop
FINISHED = "acknowledged"  # the note: how the end of each drop was seen
BY_THE_SERVER, GIVEN_UP = "by the server", "not waited for: the gateway was given up"
RESTARTED, BY_THE_CLOCK = "not seen: the server was restarted", "not seen: the time for it is over"
NOT_FINISHED = "a gateway has not finished its clean-up of the name yet"
IN_GRACE_PERIOD = "the name stays reserved until no server acts on it any more"
_UNFINISHED_FOR = "unfinished_for"  # the note: how old the drop was when it was last seen unfinished
GRACE_SINCE, _GRACE_SECONDS = "quiet_since", "quiet_seconds"  # the notes
_SHORTEST_GRACE_SECONDS, _LONGEST_GRACE_SECONDS = 0.1, 10.0
_LIKELY_SECONDS = 1.0  # a server that is alive has mostly finished by then


def record_sent(ctx: Context, url: str) -> None:
    """Note that a gateway is about to be sent a drop: committed when this returns."""
    sent = {**ctx.notes.get(SENT, {}), url: timing.now(ctx.services.own).isoformat()}
    ctx.note_and_save(**{SENT: sent, FINISHED: _without(ctx.notes.get(FINISHED, {}), url), _UNFINISHED_FOR: 0})


def record_not_taken(ctx: Context, url: str) -> None:
    """Note that the gateway did not accept the drop: there is no end to wait for."""
    ctx.note(**{SENT: _without(ctx.notes[SENT], url)})


def _without(notes: Mapping[str, str], url: str) -> dict[str, str]:
    return {each: value for each, value in notes.items() if each != url}


def _unfinished(notes: Mapping[str, Any]) -> tuple[str, str] | None:
    """The gateway whose drop has not finished, and when it was sent; there is at most one at a time."""
    return next(((url, at) for url, at in notes.get(SENT, {}).items() if url not in notes.get(FINISHED, {})), None)


def check_finished(ctx: Context, notes: Mapping[str, Any], reservation: Reservation, found: Found) -> bool:
    """Note the drop that has finished, and return whether none is unfinished; `found` is Reservation.put's answer."""
    drop = _unfinished(notes)
    if drop is None:
        return True
    url, sent_at = drop
    age = age_seconds(ctx, sent_at)
    how = _how_it_ended(ctx, url, age, found)
    if how == BY_THE_SERVER and url not in notes.get(GATEWAYS, {}) and found is not Found.TAKEN:
        # The drop was not seen to succeed: the server may have cleaned up after a create that failed instead.
        if _may_hold(ctx, url):
            reservation.arm()
            return False
        age = _LONGEST_GRACE_SECONDS
    if how is None:
        ctx.note(**{_UNFINISHED_FOR: age})
        return False
    ctx.note(**{FINISHED: {**notes.get(FINISHED, {}), url: how}})
    # Twice as long as the drop took, as far as known: it ended between the last check and this one.
    start_grace_period(ctx, age + notes.get(_UNFINISHED_FOR, 0))
    return True


def poll_briefly(check: Callable[[], None], seconds: float = 0.3) -> None:
    """Repeat a check that raises NotYet after 5 ms, 10 ms, 20 ms and so on: mostly it passes within milliseconds.

    A check that says exactly how long it takes is repeated after that time.
    """
    ends, pause = time.monotonic() + seconds, 0.005
    while True:
        try:
            return check()
        except NotYet as error:
            exact = error.first_pause_seconds if error.is_exact else None
            wait_seconds = pause if exact is None else exact
            if time.monotonic() + wait_seconds > ends:
                raise
        time.sleep(wait_seconds)  # for a server that is at work
        pause *= 2


def ensure_finished(ctx: Context, notes: Mapping[str, Any], reservation: Reservation) -> None:
    """Raise NotYet while a drop is unfinished."""
    if _unfinished(notes) and not check_finished(ctx, notes, reservation, reservation.put()):
        raise NotYet(NOT_FINISHED, first_pause_seconds=0.1)


def ensure_grace_period_over(ctx: Context, notes: Mapping[str, Any], reservation: Reservation) -> None:
    """Raise NotYet until no server has touched the reservation for twice as long as the drop took.

    After a create that failed meanwhile, the server cleans up by name once more, and no answer tells when.
    """
    found = reservation.put()
    if found is Found.TAKEN:
        return
    if found is Found.PUT:
        start_grace_period(ctx, notes[_GRACE_SECONDS])
        ctx.save()
        notes = ctx.notes
    left = notes[_GRACE_SECONDS] + timing.NOW_ERROR_SECONDS - age_seconds(ctx, notes[GRACE_SINCE])
    if left > 0:
        raise NotYet(IN_GRACE_PERIOD, first_pause_seconds=left, is_exact=True)


def start_grace_period(ctx: Context, seconds: float) -> None:
    """Keep the name reserved for so long, or longer if a server touches the reservation meanwhile."""
    bounded = min(max(_SHORTEST_GRACE_SECONDS, seconds), _LONGEST_GRACE_SECONDS)
    ctx.note(**{GRACE_SINCE: timing.now(ctx.services.own).isoformat(), _GRACE_SECONDS: bounded})


def age_seconds(ctx: Context, moment: str) -> float:
    """Seconds since a noted moment, by the own database's clock: the clocks of two hosts may differ."""
    return (timing.now(ctx.services.own) - datetime.fromisoformat(moment)).total_seconds()


def _how_it_ended(ctx: Context, url: str, age: float, found: Found) -> str | None:
    if found is not Found.KEPT:
        return BY_THE_SERVER
    if url in ctx.without_gateways:
        return GIVEN_UP
    if age > ctx.services.settings.gateway_late_seconds:
        return BY_THE_CLOCK
    return RESTARTED if age > _LIKELY_SECONDS and _is_down(ctx, url) else None


def _is_down(ctx: Context, url: str) -> bool:
    """Whether no server listens there; False for a gateway that is not in the settings any more."""
    return any(gateway.url == url and gateway.is_down() for gateway in ctx.services.gateways)


def _may_hold(ctx: Context, url: str) -> bool:
    """Whether the gateway has the name in memory; also when it does not answer."""
    try:
        return any(gateway.url == url and gateway.state(ctx.instance_name) for gateway in ctx.services.gateways)
    except LetheError:
        return True
