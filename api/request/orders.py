"""Takes orders from calls: what tasks.orders.delete says, as HTTP has it."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from api.request import auditing, auth, confirmation, current, rate_limit
from api.request.errors import AlreadyBeingDeleted, BadRequest, Unauthorized, UnknownInstance
from shared import logs
from shared.access.confirmation import Confirmation
from shared.audit.entries import Action
from shared.database.models import Deletion
from shared.evolution.gateway import Stuck
from shared.evolution.rows.tenant import Instance
from shared.settings import ConfirmationMode
from tasks.orders import delete, resume
from tasks.orders.caller import Caller

log = logs.get(__name__)


def submit_by_name(name: str) -> UUID:
    """Accept (or resume) the deletion of whoever bears the name; returns its id."""
    with _answering():
        return delete.by_name(current.services(), caller(), name)


def submit_by_id(instance_id: str) -> UUID:
    """Accept (or resume) the deletion of the instance with that id; returns its id."""
    with _answering():
        return delete.by_id(current.services(), caller(), instance_id)


def find(action: Action, *, name: str | None = None, instance_id: str | None = None) -> Instance:
    """The living instance that the caller may do this with."""
    with _answering():
        return delete.find(current.services(), caller(), action, name=name, instance_id=instance_id)


def confirm_again(deletion: Deletion) -> Confirmation | None:
    """What confirms that a failed deletion is resumed, while its instance is whole and this is demanded."""
    if current.services().settings.confirmation is ConfirmationMode.OFF:
        return None
    instance = current.services().tenant.find(instance_id=deletion.instance_id)
    return resume.confirm_again(caller(), deletion, instance)


def log_out(instance: Instance) -> None:
    """End the instance's session at every gateway."""
    try:
        delete.log_out(current.services(), auditing.actor(), instance)
    except delete.UnknownInstance as error:
        raise UnknownInstance(error.called) from None
    except Stuck as error:
        raise BadRequest(error.title) from error


def caller() -> Caller:
    """Who calls, for an order."""
    return Caller(
        auditing.actor(), _authorise, auth.principal().token_hash, count=rate_limit.count, confirm=confirmation.of_call
    )


def _authorise(instance: Instance | None, deletion: Deletion | None) -> None:
    auditing.about(instance.id if instance else None, deletion.id if deletion else None)
    if not auth.may_touch(instance, deletion):
        log.warning("refused")  # without the name: it is often a phone number
        raise Unauthorized


@contextmanager
def _answering() -> Iterator[None]:
    """Whatever is returned has its line in the audit already; errors become answers."""
    try:
        yield
    except delete.UnknownInstance as error:
        raise UnknownInstance(error.called) from None
    except delete.AlreadyBeingDeleted as error:
        if error.deletion_id is None:
            raise AlreadyBeingDeleted(error.title) from None
        deletion_id = str(error.deletion_id)
        raise AlreadyBeingDeleted(
            error.title, headers={"Location": f"/deletions/{deletion_id}"}, deletionId=deletion_id
        ) from None
    auditing.accepted()
