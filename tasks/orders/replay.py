"""Deletes erased instances again that came back when the tenant database was restored from an older backup."""

from collections.abc import Iterator, Sequence
from uuid import UUID, uuid4

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from shared.audit.entries import Action
from shared.database.connections import own_transaction
from shared.database.models import ENDED, Deletion, DeletionStatus
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from tasks import publishing
from tasks.orders import delete
from tasks.orders.caller import Caller

_BATCH = 1000


def find(services: Services) -> list[Instance]:
    """The instances whose id was erased (names are not compared), except those that are being deleted already."""
    tenant = services.tenant
    existing = (each for ids in _erased_ids(services) for each in sorted(tenant.had_by_others("id", ids, besides="")))
    return [found for instance_id in existing if (found := tenant.find(instance_id=instance_id))]


def replay(services: Services, caller: Caller, instance: Instance) -> UUID:
    """Accept a deletion of the instance and publish it; raises AlreadyRequested. Returns the deletion's id.

    What is stored by name is removed only for the name that the instance's row has now.
    """
    deletion_id = uuid4()
    publishing.publish(services, delete.insert(services, caller, instance, deletion_id, action=Action.TOMBSTONES))
    return deletion_id


def _erased_ids(services: Services) -> Iterator[Sequence[str]]:
    other = aliased(Deletion)
    under_way = exists().where(other.instance_id == Deletion.instance_id, other.status.not_in(ENDED))
    query = select(Deletion.instance_id).where(Deletion.status == DeletionStatus.SUCCEEDED, ~under_way).distinct()
    with own_transaction(services.own) as connection:
        ids = connection.scalars(query).all()  # all in one query: the server ends an idle transaction
    yield from (ids[at : at + _BATCH] for at in range(0, len(ids), _BATCH))
