"""Event channels (webhook, RabbitMQ and others) of an instance: disabled for a deletion, enabled again if it stops."""

from enum import Enum
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, exists, select, update
from sqlalchemy.orm import aliased

from shared import logs
from shared.database.connections import own_statement, own_transaction
from shared.database.models import ENDED, Deletion, DeletionStatus, Step
from shared.deletions.claims import Claim
from shared.errors import LetheError
from shared.services import Services
from tasks.context import Context

log = logs.get(__name__)
_DISABLED, _STEP = "channels_off", "logout"  # the note that names the tables, and the step that keeps it
_LEAVES_IN_USE = (*ENDED, DeletionStatus.SCHEDULED)  # the instance is used, until a scheduled one begins
_STOPPED = (DeletionStatus.FAILED, DeletionStatus.CANCELLED)


def disable(ctx: Context) -> None:
    """Note the enabled channels, then disable them; for the logout step."""
    tenant = ctx.services.tenant
    restore(ctx.services, ctx.instance_id)  # what an earlier, cancelled deletion has disabled: now this one notes it
    if enabled := tenant.channels(ctx.instance_id):
        ctx.note_and_save(**{_DISABLED: sorted({*ctx.notes.get(_DISABLED, []), *enabled})})
        tenant.switch_channels(ctx.instance_id, enabled, on=False)


def disabled_tables(claim: Claim) -> list[str]:
    """The tables of the channels that this deletion has disabled."""
    tables: list[str] = claim.earlier_notes[_STEP].get(_DISABLED, [])
    return tables


def restore(services: Services, instance_id: str | None = None) -> None:
    """Enable again what deletions have disabled that stopped before their point of no return.

    For one instance, or for all without a deletion that has begun. When the tenant database is unreachable, the
    reconciler's next round does it.
    """
    try:
        while _restore_one(services, instance_id):
            pass
    except LetheError as error:
        log.warning("channels not restored", reason=error.title)


def _restore_one(services: Services, instance_id: str | None) -> bool:
    """Restore the channels of one deletion; False when there is none. The row's lock holds off a resume meanwhile."""
    of, values = _Of.ALL if instance_id is None else _Of.ONE, {"of_instance": instance_id}
    with own_statement(services.own) as connection:
        if connection.execute(_to_restore(of), values).first() is None:  # mostly, and without a lock
            return False
    with own_transaction(services.own) as connection:
        found = connection.execute(_to_restore(of, locked=True), values).first()
        if found is None:
            return False
        deletion_id, owner, notes = found
        services.tenant.switch_channels(owner, notes[_DISABLED], on=True)
        rest = {name: value for name, value in notes.items() if name != _DISABLED}
        of_step = Step.deletion_id == deletion_id, Step.name == _STEP
        connection.execute(update(Step).where(*of_step).values(notes={**rest, "channels_put_back": notes[_DISABLED]}))
    return True


class _Of(Enum):
    """Whose channels are looked for."""

    ONE = "one instance"
    ALL = "all without a deletion that has begun"


@cache  # each logout asks, and SQLAlchemy takes long to build it
def _to_restore(of: _Of, *, locked: bool = False) -> Select[tuple[UUID, str, dict[str, Any]]]:
    other = aliased(Deletion)
    under_way = exists().where(
        other.instance_id == Deletion.instance_id, other.id != Deletion.id, other.status.not_in(_LEAVES_IN_USE)
    )
    query = (
        select(Deletion.id, Deletion.instance_id, Step.notes)
        .join(Step, (Step.deletion_id == Deletion.id) & (Step.name == _STEP))
        .where(Deletion.status.in_(_STOPPED), Deletion.irrevocable_at.is_(None), Step.notes.has_key(_DISABLED))
        .where(~under_way if of is _Of.ALL else Deletion.instance_id == bindparam("of_instance"))
        .limit(1)
    )
    return query.with_for_update(of=Deletion, skip_locked=True) if locked else query
