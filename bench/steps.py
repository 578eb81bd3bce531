"""Runs one step of a deletion in this process, as a worker does: claimed, in slices, written down."""

from uuid import UUID, uuid4

from sqlalchemy import update

from demo.evolution.deployment import SeededInstance
from shared.access.api_keys import BOOTSTRAP
from shared.database.connections import own_transaction
from shared.database.models import Deletion, Step
from shared.deletions import lifecycle
from shared.deletions.lifecycle import Requester
from shared.services import Services
from tasks import pipeline
from tasks.context import Target
from worker.runner import Outcome, Runner


def ready(made: Services, instance: SeededInstance, name: str) -> UUID:
    """A deletion of the instance that stands before this step, counted in advance as a worker does it."""
    planned = pipeline.BY_NAME[name].preview(Target(made, instance.id, instance.name, thorough=False))
    deletion_id = _accept(made, instance)
    with own_transaction(made.own) as connection:
        of_deletion = update(Deletion).where(Deletion.id == deletion_id)
        connection.execute(of_deletion.values(position=pipeline.NAMES.index(name), next_attempt_at=None))
        of_step = update(Step).where(Step.deletion_id == deletion_id, Step.name == name)
        connection.execute(of_step.values(planned=planned))
    return deletion_id


def _accept(made: Services, instance: SeededInstance) -> UUID:
    deletion_id = uuid4()
    with own_transaction(made.own) as connection:
        lifecycle.accept(
            connection, deletion_id=deletion_id, instance_id=instance.id, instance_name=instance.name,
            requester=Requester("admin", BOOTSTRAP), steps=pipeline.NAMES, republish_seconds=60,
        )  # fmt: skip
    return deletion_id


def run_step(made: Services, deletion_id: UUID, name: str) -> None:
    """Run one step of a deletion that stands before it to its end."""
    runner = Runner(made, stopping=lambda: False, others_wait=lambda: False)
    while (outcome := runner.run(name, deletion_id, 1)) is Outcome.REPUBLISH:
        pass
    if outcome is not Outcome.CONTINUE:
        raise AssertionError(f"{name}: {outcome}")
