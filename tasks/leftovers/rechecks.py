"""Checks for erased instances again: erases and reports what a server has written by their ids since."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from shared import logs
from shared.deletions import rechecks
from shared.deletions.rechecks import DueCheck
from shared.errors import LetheError
from shared.evolution.cache.cache import Cache
from shared.evolution.media.local_folder import LocalFolder
from shared.evolution.media.storage import Storage
from shared.services import Services
from tasks.leftovers import orphan_rows

log = logs.get(__name__)


@dataclass(frozen=True)
class _Place:
    """A store: how much it holds of which of these ids, and how that is erased."""

    kind: str
    look: Callable[[set[str]], dict[str, int]]
    erase: Callable[[DueCheck], Iterable[int]]


def run_due(services: Services) -> int:
    """Look for all deletions that are due, once into each store; returns of how many something had come back.

    What has its row again is reported and left alone. What could not be looked at is due again a little later.
    """
    due = rechecks.take_due(services.own, lease_seconds=2 * services.settings.hard_limit_seconds)
    if not due:
        return 0
    by_id = {each.instance_id: each for each in due}  # of an id that was erased twice the newest deletion
    existing = services.tenant.had_by_others("id", by_id, besides="")
    returned = [by_id[each] for each in sorted(existing) if rechecks.INSTANCES not in by_id[each].came_back]
    for each in returned:
        _report(services, each, {rechecks.INSTANCES: 1})
    found, all_seen = _look(services, by_id.keys() - existing)
    undone = _erase(services, [(by_id[each], places) for each, places in found.items()])
    if all_seen:
        rechecks.finish(services.own, [each.deletion_id for each in due if each.deletion_id not in undone])
    return len(returned) + len(found)


def _look(services: Services, ids: set[str]) -> tuple[dict[str, dict[_Place, int]], bool]:
    """What came back by id and place, and whether every place could be looked at."""
    found: dict[str, dict[_Place, int]] = {}
    all_seen = True
    for place in _places(services):
        try:
            for instance_id, number in place.look(ids).items():
                found.setdefault(instance_id, {})[place] = number
        except (LetheError, OSError) as error:  # what is elsewhere is found all the same
            log.warning("look put off", kind=place.kind, reason=_why(error))
            all_seen = False
    return found, all_seen


def _erase(services: Services, found: Iterable[tuple[DueCheck, Mapping[_Place, int]]]) -> set[UUID]:
    """Report and erase, for no longer than a slice; returns what could not be done."""
    ends, undone = time.monotonic() + services.settings.slice_seconds, set[UUID]()
    for due, places in found:
        if time.monotonic() > ends or services.tenant.had_by_others("id", [due.instance_id], besides=""):
            undone.add(due.deletion_id)
            continue
        _report(services, due, {place.kind: number for place, number in places.items()})
        try:
            rechecks.report_erased(services.own, due, {place.kind: sum(place.erase(due)) for place in places})
        except (LetheError, OSError) as error:  # the others are erased all the same
            log.error("not erased again", deletion_id=str(due.deletion_id), reason=_why(error))
            undone.add(due.deletion_id)
    return undone


def _why(error: Exception) -> str:
    return error.title if isinstance(error, LetheError) else f"unexpected {type(error).__name__}"


def _report(services: Services, due: DueCheck, found: Mapping[str, int]) -> None:
    rechecks.report(services.own, due, found)
    log.error("came back", deletion_id=str(due.deletion_id), instance_id=due.instance_id, found=dict(found))


def _places(services: Services) -> Iterable[_Place]:
    yield from map(_media, services.storages)
    if services.cache:
        yield _keys(services, services.cache)
    yield _rows(services)


def _media(storage: Storage) -> _Place:
    # A folder without a file is one. A prefix without an object is nothing: some S3 servers list it.
    least = 1 if isinstance(storage, LocalFolder) else 0

    def look(ids: set[str]) -> dict[str, int]:
        storage.probe()  # an empty mount point would count as gone
        counts = {each: max(least, storage.count(each)) for each in storage.ids() & ids}
        return {each: number for each, number in counts.items() if number}

    return _Place(storage.kind, look, lambda due: storage.erase(due.instance_id, due.deletion_id))


def _keys(services: Services, cache: Cache) -> _Place:
    had_by_others = partial(services.tenant.had_by_others, besides="")
    keys: dict[str, list[str]] = {}

    def look(ids: set[str]) -> dict[str, int]:
        candidates = cache.find_candidates(ids)
        keys.update((each, cache.by_id(each, had_by_others, candidates)[0]) for each in ids)
        return {each: len(mine) for each, mine in keys.items() if mine}

    return _Place("keys", look, lambda due: cache.unlink(keys[due.instance_id]))


def _rows(services: Services) -> _Place:
    """Of tables that no foreign key watches: elsewhere a row goes with its instance, and cannot come without it."""

    def look(ids: set[str]) -> dict[str, int]:
        return {each: rows.held.number for each, rows in orphan_rows.find(services.tenant, ids).items()}

    return _Place("rows", look, lambda due: [orphan_rows.erase(services, due.instance_id)])
