"""The deployment before and after a deletion, compared thing by thing."""

from collections.abc import Iterable
from dataclasses import dataclass

from demo.evolution.census import census, fingerprint, fingerprint_of
from demo.evolution.deployment import Deployment, SeededInstance

SHOWN = 5
# Where Lethe puts folders before it removes them: it may stay, but nothing may stay in it.
EMPTY_TRASH = "file:.trash/"
Digests = dict[str, str]
Totals = dict[str, int]


@dataclass(frozen=True)
class Picture:
    """A digest of every single thing, and each instance's total per store."""

    everything: Digests
    totals: dict[str, Totals]


def take(deployment: Deployment, instances: Iterable[SeededInstance]) -> Picture:
    """Look at the whole deployment now."""
    totals = {it.name: count(deployment, it) for it in instances}
    return Picture(fingerprint(deployment), totals)


def count(deployment: Deployment, instance: SeededInstance) -> Totals:
    """What one instance has, per store: rows, keys, files, objects."""
    found = census(deployment, instance.id, instance.name)
    return {store: sum(places.values()) for store, places in found.items()}


def owned_by(deployment: Deployment, instance: SeededInstance) -> Digests:
    """The things that are this instance's alone; to be asked while its rows are there."""
    return fingerprint_of(deployment, instance.id, instance.name)


def changed(before: Digests, after: Picture) -> list[str]:
    """Those of the things that are not there any more as they were."""
    return [entry for entry, digest in before.items() if after.everything.get(entry) != digest]


def find_faults(deleted: Digests, before: Picture, after: Picture) -> list[str]:
    """What contradicts "what was deleted is gone, and nothing else was touched", in words."""
    kept = {entry: digest for entry, digest in before.everything.items() if entry not in deleted}
    return [
        *_named("left over", [entry for entry in deleted if entry in after.everything]),
        *_named("changed or gone, but not of a deleted instance", changed(kept, after)),
        *_named(
            "new, and of no instance",
            [entry for entry in after.everything if entry not in before.everything and entry != EMPTY_TRASH],
        ),
    ]


def _named(fault: str, entries: list[str]) -> list[str]:
    more = [f"… and {len(entries) - SHOWN:,} more"] if len(entries) > SHOWN else []
    return [f"{fault}: {entry}" for entry in [*entries[:SHOWN], *more]]
