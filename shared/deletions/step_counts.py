"""Counts and notes of steps in the own database: what was planned and what was removed. They survive crashes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, TextClause

from shared.database.connections import own_statement
from shared.deletions import claim_statements
from shared.deletions.claims import Claim
from shared.errors import LostClaim


def store_plan(engine: Engine, claim: Claim, planned: Mapping[str, Mapping[str, int]]) -> None:
    """Store what the previews of all steps counted, before anything is removed; raises LostClaim."""
    counts = {step: dict(each) for step, each in planned.items()}
    _write(engine, claim, claim_statements.STORE_PLAN, planned=counts)


@dataclass(frozen=True)
class StepRecord:
    """What a step has removed and noted in all its runs; only the worker that has claimed it writes this."""

    removed: Mapping[str, int]
    notes: Mapping[str, Any]
    has_progress: bool  # since the last record: then earlier failures do not count any more
    planned: Mapping[str, int] | None = None  # of a step that counts when it runs, not in the preview


def record(engine: Engine, claim: Claim, entry: StepRecord) -> None:
    """Store how far the step is; raises LostClaim. What is then not stored makes the counts "at least"."""
    planned = None if entry.planned is None else dict(entry.planned)
    values = {"step": claim.step, "removed": dict(entry.removed), "notes": dict(entry.notes), "planned": planned}
    _write(engine, claim, claim_statements.RECORD_PROGRESS if entry.has_progress else claim_statements.RECORD, **values)


def _write(engine: Engine, claim: Claim, statement: TextClause, **values: object) -> None:
    """Change the deletion's row and those of steps; raises LostClaim if this claim no longer owns the deletion."""
    with own_statement(engine) as connection:
        written = connection.execute(statement, {"deletion_id": claim.deletion_id, "owner": claim.owner, **values})
        if not written.all():
            raise LostClaim
