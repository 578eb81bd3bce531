"""Runs a deletion's steps in the test's own process: no broker and no worker in between."""

from uuid import UUID, uuid4

from sqlalchemy import Row, select

from demo.evolution.seed import seed_instance
from demo.processes import wait_until
from shared.access.api_keys import BOOTSTRAP
from shared.database.connections import own_statement, own_transaction
from shared.database.models import ENDED, Deletion, DeletionStatus
from shared.deletions import lifecycle
from shared.deletions.lifecycle import Requester
from shared.services import Services
from tasks import pipeline
from tasks.gateways import drops
from tests.system import System
from worker.runner import Outcome, Runner

_ENDS = (*ENDED, DeletionStatus.FAILED)
ADMIN = Requester("admin", BOOTSTRAP)


def accept(
    services: Services, instance_id: str, name: str, requester: Requester = ADMIN, *, exports: bool = False
) -> UUID:
    """Accept a deletion as the API does, without publishing it."""
    deletion_id = uuid4()
    with own_transaction(services.own) as connection:
        lifecycle.accept(
            connection,
            deletion_id=deletion_id,
            instance_id=instance_id,
            instance_name=name,
            requester=requester,
            steps=pipeline.NAMES,
            republish_seconds=60,
            exports=exports,
        )
    return deletion_id


def erase(services: Services, system: System, name: str, *, messages: int = 1) -> tuple[UUID, str]:
    """Erase an instance that is made for it; the deletion's id and the instance's."""
    instance = seed_instance(system.deployment, name, messages=messages)
    deletion_id = accept(services, instance.id, name)
    run_all(services, deletion_id)
    return deletion_id, instance.id


def run_steps(services: Services, deletion_id: UUID, *names: str, attempt: int = 1) -> list[Outcome]:
    """Run steps, in this order, one slice each."""
    runner = Runner(services, stopping=lambda: False, others_wait=lambda: False)
    return [runner.run(name, deletion_id, attempt) for name in names]


def run_to_end(services: Services, deletion_id: UUID) -> None:
    """Run all steps, again and again while the deletion waits."""

    def has_ended() -> bool:
        run_all(services, deletion_id)
        return _standing(services, deletion_id).status in _ENDS

    wait_until(has_ended, 60, "the deletion's end")


def run_all(services: Services, deletion_id: UUID) -> None:
    """Run all steps once; confirm again while it only waits for the name to be free."""

    def has_come_to_a_stop() -> bool:
        run_steps(services, deletion_id, *pipeline.NAMES)
        return _standing(services, deletion_id).reason not in (drops.NOT_FINISHED, drops.IN_GRACE_PERIOD)

    wait_until(has_come_to_a_stop, 60, "the name to be free")


def _standing(services: Services, deletion_id: UUID) -> Row[tuple[DeletionStatus, str | None]]:
    query = select(Deletion.status, Deletion.reason).where(Deletion.id == deletion_id)
    with own_statement(services.own) as connection:
        return connection.execute(query).one()
