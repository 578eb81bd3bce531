"""Instances that were erased and are there again, since the tenant database was restored from an older backup."""

from collections.abc import Iterator, Sequence
from uuid import UUID, uuid4

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from shared.audit import chain
from shared.audit.entries import Action, Actor, Decision, Entry
from shared.database.connections import own_transaction
from shared.database.models import ENDED, Deletion, DeletionStatus
from shared.deletions import lifecycle
from shared.deletions.lifecycle import Requester
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from tasks import pipeline, publishing

_AT_ONCE = 1000


def find(services: Services) -> list[Instance]:
    """The living instances whose id was erased, unless they are being erased again already; never by name."""
    tenant = services.tenant
    living = (
        instance_id for ids in _erased_ids(services) for instance_id in sorted(tenant.living("id", ids, besides=""))
    )
    return [found for instance_id in living if (found := tenant.find(instance_id=instance_id))]


def replay(services: Services, instance: Instance, actor: Actor) -> UUID:
    """Accept a deletion of the instance and publish it; raises AlreadyRequested. Returns the deletion's id.

    What is kept by name goes only with the name that its row bears now: who bears the earlier one is left alone.
    """
    deletion_id = uuid4()
    with own_transaction(services.own) as connection:
        message = lifecycle.accept(
            connection,
            deletion_id=deletion_id,
            instance_id=instance.id,
            instance_name=instance.name,
            requester=Requester(actor.role, actor.key_id),
            steps=pipeline.NAMES,
            republish_seconds=services.settings.nudge_seconds,
        )
        chain.append(connection, Entry(Action.TOMBSTONES, Decision.ACCEPTED, actor, instance.id, deletion_id))
    publishing.publish(services, message)
    return deletion_id


def _erased_ids(services: Services) -> Iterator[Sequence[str]]:
    other = aliased(Deletion)
    under_way = exists().where(other.instance_id == Deletion.instance_id, other.status.not_in(ENDED))
    query = select(Deletion.instance_id).where(Deletion.status == DeletionStatus.SUCCEEDED, ~under_way).distinct()
    with own_transaction(services.own) as connection:
        ids = connection.scalars(query).all()  # all at once: an idle transaction is ended by the server
    yield from (ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE))
