"""What a step has done, in words that fit the step."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from shared.webhooks import outbox

_UNITS = {
    "sessions": "session",
    "keys": "key",
    "webhooks": "webhook",
    "files": "file",
    "objects": "object",
    "queues": "queue",
    "exchanges": "exchange",
    "gateways": "gateway",
    "instances": "instance",
}
_DELIVERY = {"delivered": "delivered", "refused": "refused", "pending": "kept for later"}
_BY_NOW = {"delivered": "delivered", "refused": "refused", "pending": "still tried", "expired": "given up"}
_NOTHING = {
    "logout": "nothing to log out",
    "send_webhook": "nobody to tell",
    "confirm": "nothing was left",
}


def did(step: Mapping[str, Any]) -> str:
    """What the step has done, from its counts, and what it could not do, from its notes."""
    counts = step["removed"]
    parts = [f"{_amount(number)} {_DELIVERY[what]}" for what, number in counts.items() if what in _DELIVERY and number]
    if sessions := counts.get("sessions"):
        parts.append(f"{_count(sessions, 'session')} logged out")
    if gateways := counts.get("gateways"):
        parts.append(f"dropped from {_count(gateways, 'gateway')}")
    if gone := _units(counts, besides={"sessions", "gateways"}):
        parts.append(f"{', '.join(gone)} removed")
    at_least = "at least " if parts and step["atLeast"] else ""
    return at_least + ", ".join([*parts, *_undone(step["notes"])]) or _nothing(step["name"])


def told(webhooks: Sequence[Mapping[str, Any]]) -> str:
    """How many webhooks were delivered by now, and how many were not."""
    outcomes = Counter(_BY_NOW[webhook["status"]] for webhook in webhooks)
    return ", ".join(f"{_amount(number)} {outcome}" for outcome, number in sorted(outcomes.items()))


def outcome(webhook: Mapping[str, Any]) -> str:
    """What became of one webhook; the moment is said elsewhere."""
    ended = "withdrawn" if webhook["error"] == outbox.WITHDRAWN else _BY_NOW[webhook["status"]]
    tries = (
        f" after {_amount(webhook['tries'])} {'try' if webhook['tries'] == 1 else 'tries'}" if webhook["tries"] else ""
    )
    why = f" ({webhook['error']})" if webhook["error"] not in (None, outbox.WITHDRAWN) else ""
    return f"{ended}{tries}{why}"


def found(came_back: Mapping[str, Any]) -> str:
    """What had come back."""
    return ", ".join(_units(came_back["found"]))


def planned(step: Mapping[str, Any]) -> str:
    """What the step is going to deal with, from what was counted before."""
    return ", ".join(_units(step["planned"] or {})) or "nothing"


def _undone(notes: Mapping[str, Any]) -> list[str]:
    """What is left to a restart of the gateways: their notes say why."""
    parts = []
    if stuck := len(notes.get("stuck_gateways", [])):
        parts.append(f"not logged out at {_count(stuck, 'gateway')}")
    if "not_logged_out" in notes:
        parts.append("not logged out")
    if held := sum("not_dropped" in outcome for outcome in notes.get("gateways", {}).values()):
        parts.append(f"not dropped from {_count(held, 'gateway')}")
    return parts


def _nothing(name: str) -> str:
    return _NOTHING.get(name, "nothing was there")


def _units(counts: Mapping[str, int], besides: set[str] | None = None) -> list[str]:
    """Amounts with their units; everything that is no unit is a table, and its rows are added up."""
    together = Counter[str]()
    for what, number in counts.items():
        if what not in _DELIVERY and what not in (besides or ()):
            together[_UNITS.get(what, "row")] += number
    return [_count(number, unit) for unit, number in together.items() if number]


def _count(number: int, unit: str) -> str:
    return f"{_amount(number)} {unit}{'' if number == 1 else 's'}"


def _amount(number: int) -> str:
    return f"{number:,}"
