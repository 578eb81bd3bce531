"""A deletion as people see it: loaded with its steps, webhooks and time of failure, and described in their language."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, case, func, select
from sqlalchemy.orm import Session, selectinload, with_expression

from shared.access.api_keys import BOOTSTRAP, EVOLUTION
from shared.audit.entries import WORKER, Action, Decision
from shared.database.connections import own_statement, translate_errors
from shared.database.enums import ConfirmationMethod, Role
from shared.database.models import ApiKey, AuditLine, Deletion, DeletionStatus, WebhookStatus
from shared.formatting import quantity
from shared.translations import sentences
from shared.translations.marks import N_
from shared.translations.texts import _
from shared.webhooks import outbox

# Only the audit keeps this time. Lines of other roles are about failed requests.
_LAST_FAILURE = (
    select(func.max(AuditLine.at))
    .where(AuditLine.deletion_id == Deletion.id, AuditLine.role == WORKER.role)
    .where(AuditLine.action == Action.DELETE.value, AuditLine.decision == Decision.FAILED.value)
    .correlate(Deletion)
    .scalar_subquery()
)
OPTIONS = (
    selectinload(Deletion.steps),
    selectinload(Deletion.webhooks),
    with_expression(Deletion.failed_at, case((Deletion.status == DeletionStatus.FAILED, _LAST_FAILURE))),
)


def load(own: Engine, deletion_id: UUID) -> Deletion | None:
    """The deletion with all that is shown of it; None when there is no such deletion."""
    query = select(Deletion).where(Deletion.id == deletion_id).options(*OPTIONS)
    with translate_errors("the own database"), Session(own, expire_on_commit=False) as session:
        return session.scalar(query)


def newest_of_name(own: Engine, name: str) -> Deletion | None:
    """The newest deletion of an instance with this name, ended or not, without its steps; None when there was none."""
    if "\x00" in name:  # PostgreSQL text cannot hold NUL
        return None
    query = select(Deletion).where(Deletion.instance_name == name).order_by(Deletion.accepted_at.desc()).limit(1)
    with translate_errors("the own database"), Session(own, expire_on_commit=False) as session:
        return session.scalar(query)


class Standing(NamedTuple):
    """The status of a deletion, why it waits or has stopped, and when it begins if it is scheduled."""

    status: DeletionStatus
    reason: str | None = None
    not_before: datetime | None = None


def newest_succeeded(own: Engine, names: Collection[str]) -> dict[str, UUID]:
    """The newest succeeded deletion of an instance of each name; names of which there was none are left out."""
    query = select(Deletion.instance_name, Deletion.id).order_by(Deletion.accepted_at)
    query = query.where(Deletion.instance_name.in_([name for name in names if "\x00" not in name]))
    with own_statement(own) as connection:
        rows = connection.execute(query.where(Deletion.status == DeletionStatus.SUCCEEDED)).all()
    return {name: deletion_id for name, deletion_id in rows}  # noqa: C416 - mypy takes no rows for a dict


def load_statuses(own: Engine, ids: Collection[UUID]) -> dict[UUID, Standing]:
    """The present status of each."""
    query = select(Deletion.id, Deletion.status, Deletion.reason, Deletion.not_before).where(Deletion.id.in_(ids))
    with own_statement(own) as connection:
        return {row.id: Standing(row.status, row.reason, row.not_before) for row in connection.execute(query)}


def count_by_status(
    own: Engine, bulk_id: UUID, visible: ColumnElement[bool] | None = None
) -> dict[DeletionStatus, int]:
    """How many deletions of an order of many have each status; in the order of the statuses."""
    query = select(Deletion.status, func.count()).where(Deletion.bulk_id == bulk_id).group_by(Deletion.status)
    with own_statement(own) as connection:
        rows = connection.execute(query if visible is None else query.where(visible)).all()
    counts = {status: number for status, number in rows}  # noqa: C416 - as above
    return {status: counts[status] for status in DeletionStatus if status in counts}


def load_status(own: Engine, deletion_id: UUID) -> Standing:
    """The present status."""
    query = select(Deletion.status, Deletion.reason, Deletion.not_before).where(Deletion.id == deletion_id)
    with own_statement(own) as connection:
        status, reason, not_before = connection.execute(query).one()
    return Standing(DeletionStatus(status), reason, not_before)


def load_key_name(own: Engine, deletion: Deletion) -> str | None:
    """The name of the API key that requested the deletion; None for other requesters."""
    query = select(ApiKey.name).where(ApiKey.id == deletion.requester_key_id)
    with translate_errors("the own database"), Session(own) as session:
        return session.scalar(query)


def requester(role: str, key_id: str | None, key_name: str | None) -> str:
    """Who requested a deletion: `admin, key 1f0c5e2a9b7d 'shop'`, or `server os:root`."""
    if role == Role.INSTANCE:
        return _("the instance's token")
    if key_id == BOOTSTRAP:
        return f"{role}, LETHE_ADMIN_KEY"
    if key_id == EVOLUTION:
        return f"{role}, LETHE_GATEWAY_KEY"
    if key_name is None:
        return " ".join(filter(None, (role, key_id)))
    return _("{role}, key {id} {name!r}", role=role, id=key_id, name=key_name)


def confirmation(deletion: Deletion) -> str | None:
    """How the deletion was confirmed, and by which key when that is not the requester's; None without confirmation."""
    if deletion.confirmed_with is None:
        return None
    words = confirmation_words(deletion.confirmed_with)
    if deletion.confirmed_by == deletion.requester_key_id:
        return words
    return _("{how}, by {key}", how=words, key=deletion.confirmed_by)


def confirmation_words(method: ConfirmationMethod) -> str:
    """How a deletion is confirmed by this method."""
    return {
        ConfirmationMethod.TOKEN: _("with the token of a preview"),
        ConfirmationMethod.CODE: _("with a one-time code"),
        ConfirmationMethod.TERMINAL: _("typed on the server"),
    }[method]


def webhook(status: str, tries: int, error: str | None) -> str:
    """What became of one webhook: `given up after 3 tries, status 502`."""
    result = N_("given up") if status == WebhookStatus.EXPIRED else status
    if error == outbox.WITHDRAWN:
        result, error = N_("withdrawn"), None
    result = sentences.translated(result)
    after = _("{result} after {tries}", result=result, tries=quantity(tries, "try", "tries")) if tries else result
    return after + (f", {sentences.translated(error)}" if error else "")
