"""What the names (or ids) of a list mean now: an instance, an unfinished deletion, or nothing."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

import rfc8785
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from shared.database.connections import own_statement
from shared.database.models import ENDED, Deletion, DeletionStatus
from shared.evolution.rows import listing
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from shared.translations.marks import N_
from tasks.gateways import in_memory
from tasks.orders.caller import Caller

MOST = 1000  # instances of one order
_UNAUTHORIZED = "Unauthorized"


class Outcome(StrEnum):
    """What became of one name of the list."""

    FOUND = "found"  # in a preview: it would be accepted
    ACCEPTED = "accepted"
    BEING_DELETED = "alreadyBeingDeleted"
    UNKNOWN = "unknown"
    REFUSED = "refused"


@dataclass(frozen=True)
class Result:
    """What became of one name of the list, and why."""

    called: str  # the name, or the id, as it was given
    outcome: Outcome
    deletion_id: UUID | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Meant:
    """What a name (or id) of the list means now, as far as the caller may know."""

    called: str
    instance: Instance | None = None
    unfinished: Deletion | None = None
    permitted: bool = True

    @property
    def instance_id(self) -> str | None:
        """The id of the instance, also of one that is being deleted; None when there is none."""
        if self.unfinished:
            return self.unfinished.instance_id
        return self.instance.id if self.instance else None

    @property
    def name(self) -> str:
        """The instance's name; what it was called when there is none."""
        if self.unfinished:
            return self.unfinished.instance_name
        return self.instance.name if self.instance else self.called

    @property
    def result(self) -> Result:
        """What an order would answer now."""
        if not self.permitted:
            return Result(self.called, Outcome.REFUSED, reason=_UNAUTHORIZED)
        if self.unfinished and self.unfinished.status is not DeletionStatus.FAILED:
            return being_deleted(self.called, self.unfinished)
        if self.instance_id is None:
            return Result(self.called, Outcome.UNKNOWN, reason=N_(f'The "{self.called}" instance does not exist'))
        return Result(self.called, Outcome.FOUND)


def look(
    services: Services, caller: Caller, *, names: Collection[str] | None = None, instance_ids: Collection[str] = ()
) -> list[Meant]:
    """What each name means, or each id where names is None; in their order, without repetitions."""
    called = list(dict.fromkeys(instance_ids if names is None else names))
    column = Deletion.instance_id if names is None else Deletion.instance_name
    # In this order: a deletion that ends between the two queries is found, and its instance is not.
    unfinished = {getattr(each, column.key): each for each in find_unfinished(services, column, called)}
    if names is None:
        found = {each.id: each for each in listing.find_all(services.tenant, instance_ids=called)}
    else:
        found = {each.name: each for each in listing.find_all(services.tenant, names=called)}
        missing = [name for name in called if name not in found and name not in unfinished]
        found |= _in_memory_only(services, caller, missing)
        found |= _renamed(services, [each for name, each in unfinished.items() if name not in found])
    return [_meant(caller, each, found.get(each), unfinished.get(each)) for each in called]


def digest_of(meant: Iterable[Meant]) -> str:
    """SHA-256 of what the list means: the names and their ids, sorted, as canonical JSON (RFC 8785)."""
    pairs = sorted((each.called, (each.instance_id if each.permitted else None) or "") for each in meant)
    return sha256(rfc8785.dumps([list(pair) for pair in pairs])).hexdigest()


def being_deleted(called: str, deletion: Deletion | None) -> Result:
    """The result for an instance that has an unfinished deletion already; None when its row is not known."""
    is_scheduled = deletion is not None and deletion.status is DeletionStatus.SCHEDULED
    why = N_("has a deletion already, which is scheduled") if is_scheduled else N_("is already being deleted")
    reason = N_(f'The "{called}" instance {why}')
    return Result(called, Outcome.BEING_DELETED, deletion.id if deletion else None, reason)


def _meant(caller: Caller, called: str, instance: Instance | None, unfinished: Deletion | None) -> Meant:
    if instance and unfinished and unfinished.instance_id != instance.id:
        unfinished = None  # of an earlier instance with this name
    if not caller.may(instance, unfinished):
        return Meant(called, permitted=False)
    return Meant(called, instance, unfinished)


def find_unfinished(services: Services, column: InstrumentedAttribute[str], values: Collection[str]) -> list[Deletion]:
    """Unfinished deletions, the newest last; PostgreSQL text cannot hold NUL, so no instance has that name."""
    query = select(Deletion).where(column.in_([value for value in values if "\x00" not in value]))
    query = query.where(Deletion.status.not_in(ENDED)).order_by(Deletion.accepted_at)
    with own_statement(services.own) as connection, Session(connection, expire_on_commit=False) as session:
        return list(session.scalars(query))


def _renamed(services: Services, unfinished: Collection[Deletion]) -> dict[str, Instance]:
    """Instances that a failed deletion has left whole, and that have another name by now; by the name they had."""
    names = {
        each.instance_id: each.instance_name
        for each in unfinished
        if each.status is DeletionStatus.FAILED and each.irrevocable_at is None
    }
    return {names[each.id]: each for each in listing.find_all(services.tenant, instance_ids=names)} if names else {}


def _in_memory_only(services: Services, caller: Caller, names: Sequence[str]) -> dict[str, Instance]:
    """Placeholders of instances that only a gateway has in memory; other callers never learn of them."""
    placeholders = {name: in_memory.placeholder(name) for name in names}
    permitted = [name for name, instance in placeholders.items() if caller.may(instance, None)]
    return {name: placeholders[name] for name in in_memory.find_known(services, permitted)}
