"""Runs a deletion's steps in the test's own process: no broker and no worker in between."""

from uuid import UUID, uuid4

from shared import deletions
from shared.api_keys import BOOTSTRAP
from shared.database import own_transaction
from shared.deletions import Requester
from shared.services import Services
from tasks import pipeline
from worker.runner import Outcome, Runner

ADMIN = Requester("admin", BOOTSTRAP)


def accept(services: Services, instance_id: str, name: str, requester: Requester = ADMIN) -> UUID:
    """Accept a deletion as the API does, without publishing it."""
    deletion_id = uuid4()
    with own_transaction(services.own) as connection:
        deletions.accept(
            connection,
            deletion_id=deletion_id,
            instance_id=instance_id,
            instance_name=name,
            requester=requester,
            steps=pipeline.NAMES,
            nudge_seconds=60,
        )
    return deletion_id


def run_steps(services: Services, deletion_id: UUID, *names: str, attempt: int = 1) -> list[Outcome]:
    """Run steps, in this order, one slice each."""
    runner = Runner(services, stopping=lambda: False, others_wait=lambda: False)
    return [runner.run(name, deletion_id, attempt) for name in names]


def run_all(services: Services, deletion_id: UUID) -> None:
    """Run all steps once."""
    run_steps(services, deletion_id, *pipeline.NAMES)
