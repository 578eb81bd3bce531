"""What is kept for ids that are no living instance and have no unfinished deletion: found, and removed on request."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared import orphan_rows
from shared.cache_keys import ids_explaining
from shared.database import reaching
from shared.local_folder import LocalFolder
from shared.models import ENDED, Deletion
from shared.services import Services
from shared.storage import Held


class Kind(StrEnum):
    """Where something was left."""

    FILES = "files"
    OBJECTS = "objects"
    TRASH = "trash"
    KEYS = "keys"
    ROWS = "rows"


@dataclass(frozen=True)
class Leftover:
    """What one place holds for one id that nobody bears; of a trash it is the id of its deletion."""

    kind: Kind
    id: str
    place: str
    held: Held
    keys: tuple[str, ...] = ()

    def is_older(self, seconds: float) -> bool:
        """Whether nothing of it was written that lately; when that is not known, only for 0 seconds."""
        if seconds == 0:
            return True
        return self.held.newest is not None and self.held.newest < datetime.now(UTC) - timedelta(seconds=seconds)


@dataclass(frozen=True)
class Found:
    """All leftovers, and how many of the ids in the stores are living instances: none is a reason to wonder."""

    leftovers: tuple[Leftover, ...]
    living: int

    def removable(self, older_than_seconds: float) -> list[Leftover]:
        """Those of ids of which nothing is young: the instance of a young one may be being created."""
        young = {each.id for each in self.leftovers if not each.is_older(older_than_seconds)}
        return [each for each in self.leftovers if each.id not in young]


def find(services: Services) -> Found:
    """Look into every store; changes nothing."""
    for storage in services.storages:
        storage.probe()
    # The stores first, then who lives: an instance that is created meanwhile is seen to live.
    held = {storage.unit: storage.ids() for storage in services.storages}
    keys = services.cache.keys_by_id() if services.cache else {}
    rows = orphan_rows.find(services.tenant)
    ids = set().union(*held.values(), keys, rows)
    nobodys = orphans(services, ids)
    found = [
        Leftover(Kind(storage.unit), each, _place(storage.unit, each), storage.measure(each))
        for storage in services.storages
        for each in sorted(held[storage.unit] & nobodys)
    ]
    found += _trash(services)
    found += _keys(services, {each: keys[each] for each in sorted(nobodys & set(keys))})
    found += [
        Leftover(Kind.ROWS, each, ", ".join(rows[each].tables), rows[each].held) for each in sorted(nobodys & set(rows))
    ]
    return Found(tuple(found), len(ids - nobodys))


def orphans(services: Services, ids: Iterable[str]) -> set[str]:
    """Those that no instance has as its id or bears as its name, and that no unfinished deletion is about."""
    wanted = set(ids)
    living = services.tenant.living("id", wanted, besides="") | services.tenant.living("name", wanted, besides="")
    query = select(Deletion.instance_id).where(Deletion.instance_id.in_(wanted), Deletion.status.not_in(ENDED))
    with reaching("the own database"), Session(services.own) as session:
        return wanted - living - set(session.scalars(query))


def remove(services: Services, leftover: Leftover) -> Iterator[int]:
    """Remove it, if it still is nobody's; yields how much went at a time."""
    if leftover.kind is Kind.TRASH:
        yield from _empty_trash(services, leftover)
    elif leftover.id in orphans(services, [leftover.id]):
        yield from _remove(services, leftover)


def _remove(services: Services, leftover: Leftover) -> Iterator[int]:
    if leftover.kind is Kind.KEYS and services.cache:
        yield from services.cache.unlink(_unexplained(services, leftover.keys))
    if leftover.kind is Kind.ROWS:
        yield orphan_rows.erase(services, leftover.id)
    for storage in services.storages:
        if storage.unit == leftover.kind:
            # The id stands in for a deletion's: should this be interrupted, its trash is found the next time.
            yield from storage.erase(leftover.id, UUID(leftover.id))


def _place(unit: str, instance_id: str) -> str:
    return f"instances/{instance_id}" if unit == Kind.FILES else f"evolution-api/{instance_id}/"


def _keys(services: Services, keys: dict[str, list[str]]) -> Iterator[Leftover]:
    for owner, all_of_it in keys.items():
        if services.cache and (mine := _unexplained(services, all_of_it)):
            yield Leftover(
                Kind.KEYS, owner, f"{services.cache.prefix}:*:{owner}*", services.cache.measure(mine), tuple(mine)
            )


def _unexplained(services: Services, keys: Iterable[str]) -> list[str]:
    """The keys that no living instance explains as well."""
    assert services.cache
    explained = {key: ids_explaining(services.cache.prefix, key) for key in keys}
    living = services.tenant.living("id", set().union(*explained.values()), besides="")
    return [key for key, owners in explained.items() if not owners & living]


def _local_folders(services: Services) -> list[LocalFolder]:
    return [storage for storage in services.storages if isinstance(storage, LocalFolder)]


def _trash(services: Services) -> Iterator[Leftover]:
    for folder in _local_folders(services):
        ids = folder.trash_ids()
        for each in sorted(ids - _unfinished(services, ids)):
            yield Leftover(Kind.TRASH, each, f".trash/{each}", folder.measure_trash(UUID(each)))


def _unfinished(services: Services, deletion_ids: Iterable[str]) -> set[str]:
    wanted = [UUID(each) for each in deletion_ids]
    query = select(Deletion.id).where(Deletion.id.in_(wanted), Deletion.status.not_in(ENDED))
    with reaching("the own database"), Session(services.own) as session:
        return {str(each) for each in session.scalars(query)}


def _empty_trash(services: Services, leftover: Leftover) -> Iterator[int]:
    if leftover.id not in _unfinished(services, [leftover.id]):
        for folder in _local_folders(services):
            for _ in folder.empty_trash(UUID(leftover.id)):
                pass  # it counts what went by its id only
            yield leftover.held.number
