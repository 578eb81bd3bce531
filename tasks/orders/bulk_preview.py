"""What an order of many deletions would remove, in sums, and which of its instances it could not delete."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from shared.audit import chain
from shared.audit.entries import Action, Decision, Entry
from shared.database.connections import own_transaction
from shared.errors import Refused
from shared.evolution.gateway import CONNECTED
from shared.evolution.rows import counting, listing
from shared.services import Services
from shared.translations.marks import N_
from tasks import pipeline
from tasks.context import Counts, Target
from tasks.orders.bulk_list import Meant, Outcome, digest_of
from tasks.orders.caller import Caller

_REHEARSAL_SECONDS, _COUNT_SECONDS = 5.0, 10.0  # the caller waits; what takes longer is left out, and named
_AT_ONCE = 8


@dataclass(frozen=True)
class Preview:
    """Sums over all instances that exist, by step; what could not be counted or rehearsed; why some cannot go."""

    planned: dict[str, Counts]
    not_counted: list[str]
    refused: Mapping[str, str]  # by what they are called


def preview(services: Services, caller: Caller, meant: Sequence[Meant]) -> Preview:
    """Rehearse and count, with a line in the audit; changes nothing. Raises what would stop all of them."""
    found = [each for each in meant if each.result.outcome is Outcome.FOUND and each.instance]
    with own_transaction(services.own) as connection:
        reason = f"of {len(found)}, list sha256:{digest_of(meant)}"
        chain.append(connection, Entry(Action.PREVIEW, Decision.ACCEPTED, caller.actor, reason=reason))
    if not found:
        return Preview({}, [], {})
    ids = [each.instance_id or "" for each in found]
    refused, rehearsed = _rehearse(services, found, exports=caller.exports)
    not_counted = []
    if rehearsed < len(found):
        not_counted.append(N_(f"only the first {rehearsed:,} of {len(found):,} instances were rehearsed"))
    states = Counter(listing.states(services.tenant, ids))
    rows, exact = counting.count_of_many(services.tenant, services.tenant.last_plan(), ids)
    if not exact:
        not_counted.append(N_("the rows are estimated: to count them would take long"))
    media, uncounted = _count_media(services, ids)
    not_counted += [N_(f"{kind} of {number:,} instances") for kind, number in uncounted.items() if number]
    sessions = sum(number for state, number in states.items() if state in CONNECTED)
    planned = {"logout": {"sessions": sessions}, "delete_records": rows, "delete_files": media}
    return Preview(planned, not_counted, refused)


def _rehearse(services: Services, found: Sequence[Meant], *, exports: bool) -> tuple[dict[str, str], int]:
    """Why some cannot be deleted, and how many were rehearsed. An unreachable server raises."""
    ends, refused = time.monotonic() + _REHEARSAL_SECONDS, dict[str, str]()
    for number, each in enumerate(found):
        if number and time.monotonic() > ends:
            return refused, number
        try:
            pipeline.rehearse(Target(services, each.instance_id or "", each.name, exports=exports))
        except Refused as error:
            refused[each.called] = error.title
    return refused, len(found)


def _count_media(services: Services, ids: Sequence[str]) -> tuple[Counts, Counts]:
    """Files and objects of all, and of how many instances they were not counted in time."""
    ends = time.monotonic() + _COUNT_SECONDS

    def in_time(count: Callable[[str], int], instance_id: str) -> int | None:
        return None if time.monotonic() > ends else count(instance_id)

    counts, uncounted = Counts(), Counts()
    with ThreadPoolExecutor(_AT_ONCE, "counts") as pool:
        for storage in services.storages:
            numbers = list(pool.map(lambda each, count=storage.count: in_time(count, each), ids))
            counts[storage.kind] = sum(number or 0 for number in numbers)
            uncounted[storage.kind] = sum(number is None for number in numbers)
    return counts, uncounted
