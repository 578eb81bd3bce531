"""Describes in words what a step has removed, and what became of webhooks."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from shared.formatting import number, quantity
from shared.translations import sentences
from shared.translations.marks import N_
from shared.translations.texts import _, ngettext

# What is counted, with its number; all other counts are rows of a table.
_UNITS: dict[str, Callable[[int], str]] = {
    "sessions": lambda n: quantity(n, "session"),
    "keys": lambda n: quantity(n, "key"),
    "webhooks": lambda n: quantity(n, "webhook"),
    "files": lambda n: quantity(n, "file"),
    "objects": lambda n: quantity(n, "object"),
    "queues": lambda n: quantity(n, "queue"),
    "exchanges": lambda n: quantity(n, "exchange"),
    "topics": lambda n: quantity(n, "topic"),
    "gateways": lambda n: quantity(n, "gateway"),
    "instances": lambda n: quantity(n, "instance"),
    "row": lambda n: quantity(n, "row"),
}
_DELIVERIES = {"delivered": N_("delivered"), "refused": N_("refused"), "pending": N_("kept for later")}
_NOTHING = {
    "logout": N_("nothing to log out"),
    "send_webhook": N_("no webhook to call"),
    "confirm": N_("nothing was left"),
}
# Notes of steps, as the pages show them.
_NOTES = (
    N_("acknowledged"), N_("quiet seconds"), N_("unfinished for"), N_("name in use"), N_("name is free"),
    N_("objects seen"), N_("files seen"), N_("all versions"), N_("verified empty"), N_("triggers"), N_("kept media"),
    N_("kept queues"), N_("stuck gateways"), N_("not logged out"), N_("name borne again"),
)  # fmt: skip
# Badges and lists of the pages; the words are those of the API.
_STATUSES = (
    N_("queued"), N_("running"), N_("waiting"), N_("failed"), N_("succeeded"), N_("cancelled"), N_("pending"),
    N_("done"), N_("expired"), N_("accepted"), N_("unknown"), N_("scheduled"),
    N_("sessions"), N_("keys"), N_("webhooks"), N_("files"), N_("objects"), N_("queues"), N_("exchanges"),
    N_("gateways"), N_("instances"), N_("topics"),
)  # fmt: skip


def removed(step: Mapping[str, Any]) -> str:
    """What the step has removed or sent, and what it could not do."""
    counts = step["removed"]
    parts = [f"{number(counts[what])} {label(said)}" for what, said in _DELIVERIES.items() if counts.get(what)]
    if n := counts.get("sessions"):
        parts.append(ngettext("{n:,} session logged out", "{n:,} sessions logged out", n, n=n))
    if gateways := counts.get("gateways"):
        parts.append(_("dropped from {gateways}", gateways=quantity(gateways, "gateway")))
    if others := amounts(counts, without=(*_DELIVERIES, "sessions", "gateways")):
        parts.append(_("{counts} removed", counts=others))
    said = ", ".join([*parts, *_not_done(step["notes"])])
    if parts and step["atLeast"]:
        return _("at least {counts}", counts=said)
    return said or label(_NOTHING.get(step["name"], N_("nothing was there")))


def label(word: str) -> str:
    """A status or another word of the API, in the reader's language."""
    return sentences.translated(word)


def amounts(counts: Mapping[str, int], without: Collection[str] = ()) -> str:
    """Counts with their units; the rows of all tables are added up: `3 keys, 20,001 rows`."""
    totals = Counter[str]()
    for what, amount in counts.items():
        if what not in without:
            totals[what if what in _UNITS else "row"] += amount
    return ", ".join(_UNITS[unit](amount) for unit, amount in totals.items() if amount)


def webhook_totals(webhooks: Sequence[Mapping[str, Any]]) -> str:
    """How many webhooks have which status now."""
    totals = Counter(N_("given up") if webhook["status"] == "expired" else webhook["status"] for webhook in webhooks)
    return ", ".join(f"{number(amount)} {label(status)}" for status, amount in sorted(totals.items()))


def _not_done(notes: Mapping[str, Any]) -> list[str]:
    """What a gateway does not do before it is restarted; the step's notes give the reason."""
    parts = []
    if stuck := len(notes.get("stuck_gateways", [])):
        parts.append(_("not logged out at {gateways}", gateways=quantity(stuck, "gateway")))
    if "not_logged_out" in notes:
        parts.append(_("not logged out"))
    if held := sum("not_dropped" in outcome for outcome in notes.get("gateways", {}).values()):
        parts.append(_("not dropped from {gateways}", gateways=quantity(held, "gateway")))
    return parts
