"""The looks after a success: which are due, and what they have found."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine, case, func, select, update

from shared.audit import chain
from shared.audit.entries import Action, Decision, Entry
from shared.database.connections import own_transaction
from shared.database.models import Deletion

AFTER_SECONDS = (60, 300, 900, 3600)
INSTANCES = "instances"  # of what comes back, the one kind that is not erased again
KINDS = ("files", "objects", "keys", "rows", INSTANCES)
_GIVE_UP_SECONDS = 86_400  # a look that cannot be done is tried for so long
_AT_ONCE = 500
_HELD = (
    "most likely a server that is not listed in LETHE_GATEWAYS still holds the instance: list it there, or restart it"
)
_RESTORED = "most likely a backup was restored: `lethe tombstones replay` erases it"


@dataclass(frozen=True)
class Due:
    """A deletion that has succeeded, and for whose id it is time to look again."""

    deletion_id: UUID
    instance_id: str
    came_back: Mapping[str, int]  # found by the looks before


@dataclass(frozen=True)
class CameBack:
    """What the looks after a success have found of the instance, and why most likely."""

    found: Mapping[str, int]
    at: datetime
    why: str


def take_due(engine: Engine, *, lease_seconds: float) -> list[Due]:
    """Those whose look is due, in the order of their success; for the lease, nobody else gets them.

    They are due again after it, unless the look is finished: later each time, and not for ever.
    """
    due = (
        select(Deletion.id)
        .where(Deletion.next_look_at <= func.now())
        .order_by(Deletion.next_look_at)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    age = func.now() - Deletion.finished_at
    again = func.now() + func.greatest(age, timedelta(seconds=lease_seconds))
    with own_transaction(engine) as connection:
        rows = connection.execute(
            update(Deletion)
            .where(Deletion.id.in_(due.scalar_subquery()))
            .values(next_look_at=case((age < timedelta(seconds=_GIVE_UP_SECONDS), again)))
            .returning(Deletion.id, Deletion.instance_id, Deletion.came_back, Deletion.finished_at)
        ).all()
    return [Due(row.id, row.instance_id, row.came_back or {}) for row in sorted(rows, key=lambda row: row.finished_at)]


def finish(engine: Engine, deletion_ids: Sequence[UUID]) -> None:
    """These looks are done: the next one is due at the first of the moments that is still to come, if there is one."""
    moments = [Deletion.finished_at + timedelta(seconds=seconds) for seconds in AFTER_SECONDS]
    following = case(*((moment > func.now(), moment) for moment in moments))
    with own_transaction(engine) as connection:
        connection.execute(update(Deletion).where(Deletion.id.in_(deletion_ids)).values(next_look_at=following))


def report(engine: Engine, due: Due, found: Mapping[str, int]) -> None:
    """Note on the deletion what has come back, and tell the audit; before it is erased: that may be interrupted."""
    decision = Decision.REFUSED if INSTANCES in found else Decision.ACCEPTED
    total = dict(Counter(due.came_back) + Counter(found))
    with own_transaction(engine) as connection:
        row = update(Deletion).where(Deletion.id == due.deletion_id)
        connection.execute(row.values(came_back=total, came_back_at=func.now()))
        chain.append(connection, _line(due, decision, "came back", found))


def report_erased(engine: Engine, due: Due, removed: Mapping[str, int]) -> None:
    """Tell the audit what went again."""
    with own_transaction(engine) as connection:
        chain.append(connection, _line(due, Decision.SUCCEEDED, "erased again", removed))


def came_back(deletion: Deletion) -> CameBack | None:
    """What the looks after its success have found; None while that is nothing."""
    if not deletion.came_back or deletion.came_back_at is None:
        return None
    erased = deletion.came_back.keys() - {INSTANCES}
    causes = [
        *([f"It was written again after the success, and erased again; {_HELD}."] if erased else []),
        *([f"Its row is there again, and was left alone; {_RESTORED}."] if INSTANCES in deletion.came_back else []),
    ]
    return CameBack(deletion.came_back, deletion.came_back_at, " ".join(causes))


def _line(due: Due, decision: Decision, what: str, counts: Mapping[str, int]) -> Entry:
    reason = f"{what}: {', '.join(f'{kind} {number}' for kind, number in sorted(counts.items()))}"
    return Entry(Action.LOOK_AGAIN, decision, instance_id=due.instance_id, deletion_id=due.deletion_id, reason=reason)
