"""The steps of a deletion in their order, and what the last one commits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sqlalchemy import Connection

from shared import logs
from shared.audit import chain, entries
from shared.audit.entries import Decision
from shared.deletions import scrubbing
from shared.deletions.claims import Claim
from shared.receipts import receipt
from shared.services import Services
from shared.webhooks import notices
from tasks import confirm, delete_files, delete_records, deregister, logout, purge_cache, send_webhook
from tasks.context import Context, Counts, Progress, Survey, Target
from tasks.leftovers import coverage
from tasks.leftovers.coverage import Coverage

log = logs.get(__name__)


@dataclass(frozen=True)
class PipelineStep:
    """One step: its name, as shown everywhere, and its functions."""

    name: str
    rehearse: Callable[[Target], None]
    preview: Callable[[Target], Counts]
    run: Callable[[Context], Progress]


def _step(module: ModuleType) -> PipelineStep:
    return PipelineStep(module.__name__.rpartition(".")[2], module.rehearse, module.preview, module.run)


PIPELINE = tuple(
    _step(module) for module in (logout, purge_cache, send_webhook, deregister, delete_records, delete_files, confirm)
)
NAMES = tuple(step.name for step in PIPELINE)
BY_NAME = {step.name: step for step in PIPELINE}


def conclude(services: Services, claim: Claim, notes: Mapping[str, Any]) -> Callable[[Connection], None]:
    """What the transaction of the deletion's success does: scrub its rows, write the audit line and the receipt.

    In this order: the receipt quotes the line, and after the line the transaction waits for no row that another holds.
    """

    def scrub_and_write(connection: Connection) -> None:
        scrubbing.scrub(connection, claim.deletion_id, {**claim.earlier_notes, claim.step: notes})
        notices.writer(services.settings, notices.Kind.SUCCEEDED)(connection, [claim.deletion_id])
        line = chain.append(
            connection, entries.deletion_ended(Decision.SUCCEEDED, claim.deletion_id, claim.instance_id)
        )
        receipt.write(connection, claim.deletion_id, services.settings, line)

    return scrub_and_write


def rehearse(target: Target) -> None:
    """Try everything that the steps will use, and change nothing; raises what would stop the deletion."""
    for step in PIPELINE:
        step.rehearse(target)


def preview(target: Target) -> dict[str, Counts]:
    """Count what each step would remove, after a rehearsal; changes nothing, raises what would stop the deletion."""
    survey = Survey(
        target.services,
        target.instance_id,
        target.instance_name,
        target.without_gateways,
        thorough=target.thorough,
        exports=target.exports,
    )
    rehearse(survey)
    return {step.name: step.preview(survey) for step in PIPELINE}


def coverage_of(target: Target) -> Coverage:
    """What a deletion that was previewed here would not erase, and what could not be tried of it."""
    return coverage.look(target)
