"""The channels on which a server sends an instance's events: switched off for a deletion, and put back if it stops."""

from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Select, select, update

from shared import ledger, logs
from shared.database import own_transaction
from shared.errors import TransientError
from shared.models import Deletion, DeletionStatus, Step
from shared.services import Services
from tasks.context import Context

log = logs.get(__name__)
_OFF, _STEP = "channels_off", "logout"  # the note that names the tables, and whose it is
_STOPPED = (DeletionStatus.FAILED, DeletionStatus.CANCELLED)


def switch_off(ctx: Context) -> None:
    """Switch off those that are on, and remember them first; for the step that logs out."""
    tenant = ctx.services.tenant
    if on := tenant.channels(ctx.instance_id):
        ctx.note_first(**{_OFF: sorted({*ctx.notes.get(_OFF, []), *on})})
        tenant.switch_channels(ctx.instance_id, on, on=False)


def were_switched_off(own: Engine, deletion_id: UUID) -> list[str]:
    """The tables of the channels that this deletion has switched off."""
    tables: list[str] = ledger.notes_of(own, deletion_id, _STEP).get(_OFF, [])
    return tables


def put_back(services: Services) -> int:
    """Switch on again what deletions have switched off that stopped before their point of no return; how many."""
    done = 0
    with own_transaction(services.own) as connection:
        for deletion_id, instance_id, notes in connection.execute(_OWED).all():
            try:
                services.tenant.switch_channels(instance_id, notes[_OFF], on=True)
            except TransientError as error:  # the next round is soon
                log.warning("channels not put back", deletion_id=str(deletion_id), reason=error.title)
                continue
            rest = {name: value for name, value in notes.items() if name != _OFF}
            of_step = Step.deletion_id == deletion_id, Step.name == _STEP
            connection.execute(update(Step).where(*of_step).values(notes={**rest, "channels_put_back": notes[_OFF]}))
            done += 1
    return done


def _owed() -> Select[tuple[UUID, str, dict[str, Any]]]:
    """Locked meanwhile: a deletion that is resumed switches them off again."""
    return (
        select(Deletion.id, Deletion.instance_id, Step.notes)
        .join(Step, (Step.deletion_id == Deletion.id) & (Step.name == _STEP))
        .where(Deletion.status.in_(_STOPPED), Deletion.irrevocable_at.is_(None))
        .where(Step.notes.has_key(_OFF))
        .with_for_update(of=Deletion, skip_locked=True)
    )


_OWED = _owed()
