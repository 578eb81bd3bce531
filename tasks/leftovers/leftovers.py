"""Leftovers: data whose id or name belongs to no instance and to no unfinished deletion; removed on request."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.connections import translate_errors
from shared.database.models import ENDED, Deletion
from shared.evolution.cache.cache import KeysByOwner
from shared.evolution.media.local_folder import LocalFolder
from shared.evolution.rows import reservation
from shared.evolution.rows.reservation import Reservation
from shared.evolution.rows.schema import ROOT
from shared.evolution.usage import Usage
from shared.services import Services
from tasks.leftovers import in_use, orphan_rows
from tasks.leftovers.in_use import InUse
from tasks.leftovers.orphan_rows import Orphans


class Kind(StrEnum):
    """Files, S3 objects, trash, Redis keys, fields of a Redis hash, rows, or reserved names."""

    FILES = "files"
    OBJECTS = "objects"
    TRASH = "trash"
    KEYS = "keys"
    FIELDS = "fields"
    ROWS = "rows"
    NAMES = "names"  # that a deletion has reserved and not given back


class OwnerIs(StrEnum):
    """What identifies the owner: instance id, instance name or deletion id."""

    ID = "id"
    NAME = "name"
    DELETION = "deletion"


@dataclass(frozen=True)
class Leftover:
    """Data in one place of one owner: an id or name that is not in use, or the deletion that moved it to the trash."""

    kind: Kind
    owner_is: OwnerIs
    owner: str
    place: str  # for Kind.FIELDS, the key of the Redis hash
    held: Usage
    keys: tuple[str, ...] = ()

    @property
    def whose(self) -> tuple[OwnerIs, str]:
        """The owner, and whether it is an id, a name or a deletion."""
        return self.owner_is, self.owner

    def is_older(self, seconds: float) -> bool:
        """True if its newest item is older. If the age is unknown: False, unless seconds is 0."""
        if seconds == 0:
            return True
        return self.held.newest is not None and self.held.newest < datetime.now(UTC) - timedelta(seconds=seconds)


@dataclass(frozen=True)
class Found:
    """All leftovers, and how many ids in the stores are in use: 0 may mean that the wrong database was read."""

    leftovers: tuple[Leftover, ...]
    ids_in_use: int

    def removable(self, older_than_seconds: float) -> list[Leftover]:
        """The leftovers of owners with old data only: an owner with young data may be an instance in creation."""
        young = {each.whose for each in self.leftovers if not each.is_older(older_than_seconds)}
        return [each for each in self.leftovers if each.whose not in young]


@dataclass(frozen=True)
class _StoreContents:
    """The contents of all stores, of all owners."""

    media: dict[str, set[str]]
    redis_keys: KeysByOwner
    lost_message_fields: list[tuple[str, str, Usage]]
    rows: dict[str, Orphans]

    @property
    def ids(self) -> set[str]:
        """All ids in them."""
        return set().union(*self.media.values(), self.redis_keys.by_id, self.rows)


def find(services: Services) -> Found:
    """Find the leftovers in every store; changes nothing."""
    for storage in services.storages:
        storage.probe()
    # The stores first, then the instances: one that is created meanwhile is in use.
    seen = _read_stores(services)
    used = in_use.read(services)
    found = (*_by_id(services, seen, used), *_trash(services), *_reserved(services), *_by_name(services, seen, used))
    return Found(found, sum(map(used.has, seen.ids)))


def _read_stores(services: Services) -> _StoreContents:
    cache = services.cache
    return _StoreContents(
        media={storage.kind: storage.ids() for storage in services.storages},
        redis_keys=cache.all_keys() if cache else KeysByOwner(),
        lost_message_fields=sorted(cache.lost_messages()) if cache else [],
        rows=orphan_rows.find(services.tenant),
    )


def _by_id(services: Services, seen: _StoreContents, used: InUse) -> Iterator[Leftover]:
    unowned = sorted(each for each in seen.ids if not used.has(each))
    for storage in services.storages:
        for each in filter(seen.media[storage.kind].__contains__, unowned):
            held = storage.measure(each)
            # Some S3 servers list a prefix for a while after its last object. An empty folder is something.
            if held.number or storage.kind != Kind.OBJECTS:
                yield Leftover(Kind(storage.kind), OwnerIs.ID, each, _path_of_id(storage.kind, each), held)
    for each in filter(seen.redis_keys.by_id.__contains__, unowned):
        yield from _keys(services, OwnerIs.ID, each, seen.redis_keys.by_id[each], used)
    for each in filter(seen.rows.__contains__, unowned):
        yield Leftover(Kind.ROWS, OwnerIs.ID, each, ", ".join(seen.rows[each].tables), seen.rows[each].held)


def _by_name(services: Services, seen: _StoreContents, used: InUse) -> Iterator[Leftover]:
    for storage in services.storages:
        for name, held in sorted(storage.find_named(lambda: _names_in_use(services)).items()):
            yield Leftover(Kind(storage.kind), OwnerIs.NAME, name, _path_of_name(storage.kind, name), held)
    for name, keys in sorted(seen.redis_keys.by_name.items()):
        yield from _keys(services, OwnerIs.NAME, name, keys, used)
    for lost, name, held in seen.lost_message_fields:
        if name not in used.names:
            yield Leftover(Kind.FIELDS, OwnerIs.NAME, name, lost, held)


def _keys(services: Services, owner_is: OwnerIs, owner: str, keys: list[str], used: InUse) -> Iterator[Leftover]:
    assert services.cache
    if mine := _keys_of_no_owner(services, keys, used):
        place = f"{services.cache.prefix}:*:{owner}*"
        yield Leftover(Kind.KEYS, owner_is, owner, place, services.cache.measure(mine), tuple(mine))


def remove(services: Services, leftover: Leftover) -> Iterator[int]:
    """Remove it, if its owner is still not in use; yields how much each batch removed."""
    if leftover.kind is Kind.NAMES:
        yield from _release_name(services, leftover)
    elif leftover.owner_is is OwnerIs.DELETION:
        yield from _empty_trash(services, leftover)
    elif leftover.owner_is is OwnerIs.NAME:
        yield from _remove_named(services, leftover)
    elif not in_use.read(services).has(leftover.owner):
        yield from _remove_by_id(services, leftover)


def _remove_by_id(services: Services, leftover: Leftover) -> Iterator[int]:
    if leftover.kind is Kind.KEYS:
        yield from _unlink_redis_keys(services, leftover)
    if leftover.kind is Kind.ROWS:
        yield orphan_rows.erase(services, leftover.owner)
    for storage in services.storages:
        if storage.kind == leftover.kind:
            # The id stands in for a deletion's: should this be interrupted, its trash is found the next time.
            yield from storage.erase(leftover.owner, UUID(leftover.owner))


def _remove_named(services: Services, leftover: Leftover) -> Iterator[int]:
    """A name can be used again at any moment: each store is checked right before the removal."""
    if leftover.kind is Kind.KEYS:
        yield from _unlink_redis_keys(services, leftover)
    if leftover.kind is Kind.FIELDS and services.cache and leftover.owner not in in_use.read(services).names:
        yield services.cache.remove_lost_messages(leftover.owner, leftover.place)
    trash = uuid4()  # of no deletion: should this be interrupted, it is found the next time
    for storage in services.storages:
        if storage.kind == leftover.kind:
            yield storage.remove_named(leftover.owner, trash, lambda: _names_in_use(services))[0]
    for folder in _local_folders(services):
        yield from folder.empty_trash(trash)


def _unlink_redis_keys(services: Services, leftover: Leftover) -> Iterator[int]:
    assert services.cache
    yield from services.cache.unlink(_keys_of_no_owner(services, leftover.keys, in_use.read(services)))


def _names_in_use(services: Services) -> list[str]:
    return list(in_use.read(services).names)


def _path_of_id(kind: str, instance_id: str) -> str:
    return f"instances/{instance_id}" if kind == Kind.FILES else f"evolution-api/{instance_id}/"


def _path_of_name(kind: str, name: str) -> str:
    return f"store/chatwoot/{name}" if kind == Kind.FILES else f"evolution-api/messages/{name}_*.json"


def _keys_of_no_owner(services: Services, keys: Iterable[str], used: InUse) -> list[str]:
    """The keys that cannot belong to any id or name in use."""
    assert services.cache
    return [key for key in keys if not used.explains(services.cache.prefix, key)]


def _local_folders(services: Services) -> list[LocalFolder]:
    return [storage for storage in services.storages if isinstance(storage, LocalFolder)]


def _trash(services: Services) -> Iterator[Leftover]:
    for folder in _local_folders(services):
        ids = folder.trash_ids()
        for each in sorted(ids - _unfinished(services, ids)):
            yield Leftover(Kind.TRASH, OwnerIs.DELETION, each, f".trash/{each}", folder.measure_trash(UUID(each)))


def _reserved(services: Services) -> Iterator[Leftover]:
    names = {str(deletion_id): each for deletion_id, each in reservation.find_all(services.tenant).items()}
    for each in sorted(names.keys() - _unfinished(services, names)):
        yield Leftover(Kind.NAMES, OwnerIs.DELETION, each, f'"{ROOT}"', Usage(1, 0, names[each].since))


def _release_name(services: Services, leftover: Leftover) -> Iterator[int]:
    deletion_id = UUID(leftover.owner)
    found = reservation.find_all(services.tenant).get(deletion_id)
    if found and leftover.owner not in _unfinished(services, [leftover.owner]):
        Reservation(services.tenant, found.name, deletion_id).release()
        yield 1


def _unfinished(services: Services, deletion_ids: Iterable[str]) -> set[str]:
    wanted = [UUID(each) for each in deletion_ids]
    query = select(Deletion.id).where(Deletion.id.in_(wanted), Deletion.status.not_in(ENDED))
    with translate_errors("the own database"), Session(services.own) as session:
        return {str(each) for each in session.scalars(query)}


def _empty_trash(services: Services, leftover: Leftover) -> Iterator[int]:
    if leftover.owner not in _unfinished(services, [leftover.owner]):
        for folder in _local_folders(services):
            for _ in folder.empty_trash(UUID(leftover.owner)):
                pass  # it counts what went by its id only
            yield leftover.held.number
