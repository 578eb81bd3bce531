"""The channels on which a server sends an instance's events: switched off for a deletion, and put back if it stops."""

from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Select, exists, select, update
from sqlalchemy.orm import aliased

from shared import logs
from shared.database.connections import own_transaction
from shared.database.models import ENDED, Deletion, DeletionStatus, Step
from shared.deletions import step_counts
from shared.errors import LetheError
from shared.services import Services
from tasks.context import Context

log = logs.get(__name__)
_OFF, _STEP = "channels_off", "logout"  # the note that names the tables, and whose it is
_STOPPED = (DeletionStatus.FAILED, DeletionStatus.CANCELLED)


def disable(ctx: Context) -> None:
    """Switch off those that are on, and remember them first; for the step that logs out."""
    tenant = ctx.services.tenant
    restore(ctx.services, ctx.instance_id)  # what an earlier, cancelled deletion owes is this one's to remember
    if on := tenant.channels(ctx.instance_id):
        ctx.note_and_save(**{_OFF: sorted({*ctx.notes.get(_OFF, []), *on})})
        tenant.switch_channels(ctx.instance_id, on, on=False)


def disabled_tables(own: Engine, deletion_id: UUID) -> list[str]:
    """The tables of the channels that this deletion has switched off."""
    tables: list[str] = step_counts.notes_of(own, deletion_id, _STEP).get(_OFF, [])
    return tables


def restore(services: Services, instance_id: str | None = None) -> int:
    """Switch on again what deletions have switched off that stopped before their point of no return; how many.

    Of all instances without an unfinished deletion, or of one. A tenant database that is away ends it: the next round
    is soon.
    """
    done = 0
    try:
        while _restore_one(services, instance_id):
            done += 1
    except LetheError as error:
        log.warning("channels not put back", reason=error.title)
    return done


def _restore_one(services: Services, instance_id: str | None) -> bool:
    """In a transaction of its own, whose lock keeps the deletion from being resumed meanwhile."""
    with own_transaction(services.own) as connection:
        owed = connection.execute(_to_restore(instance_id)).first()
        if owed is None:
            return False
        deletion_id, owner, notes = owed
        services.tenant.switch_channels(owner, notes[_OFF], on=True)
        rest = {name: value for name, value in notes.items() if name != _OFF}
        of_step = Step.deletion_id == deletion_id, Step.name == _STEP
        connection.execute(update(Step).where(*of_step).values(notes={**rest, "channels_put_back": notes[_OFF]}))
    return True


def _to_restore(instance_id: str | None) -> Select[tuple[UUID, str, dict[str, Any]]]:
    other = aliased(Deletion)
    under_way = exists().where(
        other.instance_id == Deletion.instance_id, other.id != Deletion.id, other.status.not_in(ENDED)
    )
    return (
        select(Deletion.id, Deletion.instance_id, Step.notes)
        .join(Step, (Step.deletion_id == Deletion.id) & (Step.name == _STEP))
        .where(Deletion.status.in_(_STOPPED), Deletion.irrevocable_at.is_(None), Step.notes.has_key(_OFF))
        .where(~under_way if instance_id is None else Deletion.instance_id == instance_id)
        .limit(1)
        .with_for_update(of=Deletion, skip_locked=True)
    )
