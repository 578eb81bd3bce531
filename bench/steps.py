"""Runs one step of a deletion in this process, as a worker does: claimed, in slices, written down."""

from uuid import UUID, uuid4

from sqlalchemy import update

from demo.evolution.deployment import SeededInstance
from shared import deletions
from shared.api_keys import BOOTSTRAP
from shared.database import own_transaction
from shared.deletions import Requester
from shared.models import Deletion, Step
from shared.services import Services
from tasks import pipeline
from worker.runner import Outcome, Runner


def accept(made: Services, instance: SeededInstance) -> UUID:
    """Accept a deletion without publishing it."""
    deletion_id = uuid4()
    with own_transaction(made.own) as connection:
        deletions.accept(
            connection, deletion_id=deletion_id, instance_id=instance.id, instance_name=instance.name,
            requester=Requester("admin", BOOTSTRAP), steps=pipeline.NAMES, nudge_seconds=60,
        )  # fmt: skip
    return deletion_id


def stand_before(made: Services, deletion_id: UUID, name: str) -> None:
    """As if the steps before this one were done."""
    with own_transaction(made.own) as connection:
        of_deletion = update(Deletion).where(Deletion.id == deletion_id)
        connection.execute(of_deletion.values(position=pipeline.NAMES.index(name), next_attempt_at=None))
        connection.execute(update(Step).where(Step.deletion_id == deletion_id).values(planned={}))


def run_step(made: Services, instance: SeededInstance, name: str, deletion_id: UUID | None = None) -> None:
    """Run one step of the instance's deletion to its end."""
    if deletion_id is None:
        deletion_id = accept(made, instance)
        stand_before(made, deletion_id, name)
    runner = Runner(made, stopping=lambda: False, others_wait=lambda: False)
    while (outcome := runner.run(name, deletion_id, 1)) is Outcome.AGAIN:
        pass
    if outcome is not Outcome.GO_ON:
        raise AssertionError(f"{name}: {outcome}")
