"""Passes the orders of a request to tasks.orders, and turns its errors into HTTP errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

from api.request import auditing, auth, confirmation, rate_limit, resources
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


def submit_by_name(name: str, not_before: datetime | None = None, exports: bool = False) -> UUID:
    """Accept (or resume) the deletion of the instance with this name; returns the deletion's id."""
    with _answering():
        return delete.by_name(resources.services(), caller(exports=exports), name, not_before)


def submit_by_id(instance_id: str, not_before: datetime | None = None, exports: bool = False) -> UUID:
    """Accept (or resume) the deletion of the instance with this id; returns the deletion's id."""
    with _answering():
        return delete.by_id(resources.services(), caller(exports=exports), instance_id, not_before)


def find(action: Action, *, name: str | None = None, instance_id: str | None = None) -> Instance:
    """The existing instance, if the caller may do this with it."""
    with _answering():
        return delete.find(resources.services(), caller(), action, name=name, instance_id=instance_id)


def confirm_resume(deletion: Deletion) -> Confirmation | None:
    """The confirmation to resume a failed deletion; None when none is required or the instance is not intact."""
    if resources.services().settings.confirmation is ConfirmationMode.OFF:
        return None
    instance = resources.services().tenant.find(instance_id=deletion.instance_id)
    return resume.confirm_again(caller(), deletion, instance)


def log_out(instance: Instance) -> None:
    """End the instance's session at every gateway."""
    try:
        delete.log_out(resources.services(), auditing.actor(), instance)
    except delete.UnknownInstance as error:
        raise UnknownInstance(error.called) from None
    except Stuck as error:
        raise BadRequest(error.title) from error


def caller(*, exports: bool = False) -> Caller:
    """The caller of this request, for tasks.orders; exports: what the order asks for."""
    return Caller(
        auditing.actor(),
        _authorise,
        auth.principal().token_hash,
        count_request=rate_limit.count,
        confirm=confirmation.of_request,
        exports=exports,
    )


def caller_of_many(shown: str | None) -> Caller:
    """The caller of this request for an order of many; shown is the digest of the list that the caller has seen."""
    return replace(
        caller(),
        may=auth.may_access,
        count_requests=rate_limit.count_bulk,
        confirm_list=partial(confirmation.of_list, shown=shown),
    )


def _authorise(instance: Instance | None, deletion: Deletion | None) -> None:
    auditing.set_subject(instance.id if instance else None, deletion.id if deletion else None)
    if not auth.may_access(instance, deletion):
        log.warning("refused")  # without the name: it is often a phone number
        raise Unauthorized


@contextmanager
def _answering() -> Iterator[None]:
    """An accepted order has its audit line already; errors become HTTP errors."""
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
    auditing.skip_refusal()
