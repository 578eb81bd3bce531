"""Rechecks: after a success, Lethe looks for the instance's id again. Which are due, and what they have found."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine, case, func, update

from shared.audit import chain
from shared.audit.entries import Action, Decision, Entry
from shared.database import timing
from shared.database.connections import own_transaction
from shared.database.models import Deletion
from shared.translations.marks import N_

AFTER_SECONDS = (60, 300, 900, 3600)
INSTANCES = "instances"  # the one kind that a recheck does not erase again
KINDS = ("files", "objects", "keys", "rows", INSTANCES)
_GIVE_UP_SECONDS = 86_400  # a recheck that fails is tried again for so long
_AT_ONCE = 500
_HELD = (
    "most likely a server that is not listed in LETHE_GATEWAYS still holds the instance: list it there, or restart it"
)
_RESTORED = "most likely a backup was restored: `lethe tombstones replay` erases it"


@dataclass(frozen=True)
class DueCheck:
    """A succeeded deletion whose recheck is due."""

    deletion_id: UUID
    instance_id: str
    came_back: Mapping[str, int]  # found by earlier rechecks


@dataclass(frozen=True)
class CameBack:
    """What rechecks have found of an instance, and the most likely cause."""

    found: Mapping[str, int]
    at: datetime
    why: str


def take_due(engine: Engine, *, lease_seconds: float) -> list[DueCheck]:
    """The rechecks that are due, in the order of success. Until the lease ends, no other worker gets them.

    A recheck that does not finish is due again after the lease, later each time, until _GIVE_UP_SECONDS are over.
    """
    age = func.now() - Deletion.finished_at
    again = func.now() + func.greatest(age, timedelta(seconds=lease_seconds))
    with own_transaction(engine) as connection:
        rows = timing.take_due(
            connection,
            update(Deletion).values(next_look_at=case((age < timedelta(seconds=_GIVE_UP_SECONDS), again))),
            Deletion.next_look_at,
            *(Deletion.id, Deletion.instance_id, Deletion.came_back),
            order=[Deletion.finished_at],
            limit=_AT_ONCE,
        )
    return [DueCheck(row.id, row.instance_id, row.came_back or {}) for row in rows]


def finish(engine: Engine, deletion_ids: Sequence[UUID]) -> None:
    """Record that these rechecks are done, and when the next ones are due, if there are any."""
    moments = [Deletion.finished_at + timedelta(seconds=seconds) for seconds in AFTER_SECONDS]
    following = case(*((moment > func.now(), moment) for moment in moments))
    with own_transaction(engine) as connection:
        connection.execute(update(Deletion).where(Deletion.id.in_(deletion_ids)).values(next_look_at=following))


def report(engine: Engine, due: DueCheck, found: Mapping[str, int]) -> None:
    """Record in the deletion and in the audit what has come back. Call it first, for the erasing may be interrupted."""
    decision = Decision.REFUSED if INSTANCES in found else Decision.ACCEPTED
    total = dict(Counter(due.came_back) + Counter(found))
    with own_transaction(engine) as connection:
        row = update(Deletion).where(Deletion.id == due.deletion_id)
        connection.execute(row.values(came_back=total, came_back_at=func.now()))
        chain.append(connection, _entry(due, decision, "came back", found))


def report_erased(engine: Engine, due: DueCheck, removed: Mapping[str, int]) -> None:
    """Record in the audit what was erased again."""
    with own_transaction(engine) as connection:
        chain.append(connection, _entry(due, Decision.SUCCEEDED, "erased again", removed))


def came_back(deletion: Deletion) -> CameBack | None:
    """What the rechecks of a deletion have found; None for nothing."""
    if not deletion.came_back or deletion.came_back_at is None:
        return None
    erased = deletion.came_back.keys() - {INSTANCES}
    causes = [
        *([N_(f"It was written again after the success, and erased again; {_HELD}.")] if erased else []),
        *([N_(f"Its row is there again, and was left alone; {_RESTORED}.")] if INSTANCES in deletion.came_back else []),
    ]
    return CameBack(deletion.came_back, deletion.came_back_at, " ".join(causes))


def _entry(due: DueCheck, decision: Decision, what: str, counts: Mapping[str, int]) -> Entry:
    reason = f"{what}: {', '.join(f'{kind} {number}' for kind, number in sorted(counts.items()))}"
    return Entry(Action.LOOK_AGAIN, decision, instance_id=due.instance_id, deletion_id=due.deletion_id, reason=reason)
