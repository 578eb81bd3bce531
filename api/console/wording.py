"""Describes in words what a step has removed, and what became of webhooks."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from shared.formatting import quantity

_UNITS = {"sessions", "keys", "webhooks", "files", "objects", "queues", "exchanges", "gateways", "instances"}
_DELIVERIES = {"delivered": "delivered", "refused": "refused", "pending": "kept for later"}
_NOTHING = {"logout": "nothing to log out", "send_webhook": "no webhook to call", "confirm": "nothing was left"}


def removed(step: Mapping[str, Any]) -> str:
    """What the step has removed or sent, and what it could not do."""
    counts = step["removed"]
    parts = [f"{number:,} {_DELIVERIES[what]}" for what, number in counts.items() if what in _DELIVERIES and number]
    if sessions := counts.get("sessions"):
        parts.append(f"{quantity(sessions, 'session')} logged out")
    if gateways := counts.get("gateways"):
        parts.append(f"dropped from {quantity(gateways, 'gateway')}")
    if others := amounts(counts, without=(*_DELIVERIES, "sessions", "gateways")):
        parts.append(f"{others} removed")
    at_least = "at least " if parts and step["atLeast"] else ""
    return at_least + ", ".join([*parts, *_not_done(step["notes"])]) or _NOTHING.get(step["name"], "nothing was there")


def amounts(counts: Mapping[str, int], without: Collection[str] = ()) -> str:
    """Counts with their units; the rows of all tables are added up: `3 keys, 20,001 rows`."""
    totals = Counter[str]()
    for what, number in counts.items():
        if what not in without:
            totals[what.removesuffix("s") if what in _UNITS else "row"] += number
    return ", ".join(quantity(number, unit) for unit, number in totals.items() if number)


def webhook_totals(webhooks: Sequence[Mapping[str, Any]]) -> str:
    """How many webhooks have which status now."""
    totals = Counter("given up" if webhook["status"] == "expired" else webhook["status"] for webhook in webhooks)
    return ", ".join(f"{number:,} {status}" for status, number in sorted(totals.items()))


def _not_done(notes: Mapping[str, Any]) -> list[str]:
    """What a gateway does not do before it is restarted; the step's notes give the reason."""
    parts = []
    if stuck := len(notes.get("stuck_gateways", [])):
        parts.append(f"not logged out at {quantity(stuck, 'gateway')}")
    if "not_logged_out" in notes:
        parts.append("not logged out")
    if held := sum("not_dropped" in outcome for outcome in notes.get("gateways", {}).values()):
        parts.append(f"not dropped from {quantity(held, 'gateway')}")
    return parts
