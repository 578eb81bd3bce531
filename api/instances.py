"""The two documented endpoints: DELETE /instance/delete/{name} and DELETE /instance/logout/{name}."""

from typing import Any
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.openapi import examples, responses
from api.openapi.schemas import ByName, Error, Pending, Preference, Success
from api.request import auth, current, orders, prefer, raw_target
from api.request.errors import BadRequest, DeletionFailed, answer
from api.request.prefer import Wish
from shared.audit.entries import Action
from shared.database.connections import translate_errors
from shared.database.models import UNDER_WAY, Deletion, DeletionStatus
from shared.deletions import waiting
from shared.errors import LetheError

_RETRY_AFTER_SECONDS = 5

blueprint = APIBlueprint(
    "instances",
    __name__,
    abp_tags=[Tag(name="instances", description="The gateway's own endpoints, taken over")],
    abp_security=[{"apikey": []}],
    abp_responses=responses.errors(401, 404),
    operation_id_callback=responses.operation_id,
)
blueprint.before_request(auth.authenticate)


@blueprint.delete(
    "/instance/delete/<string:instanceName>",
    summary="Erase an instance",
    responses={
        200: responses.told(Success, "Gone everywhere, and that was checked", deleted=examples.DELETED),
        202: responses.told(
            Pending,
            "Still under way, and it goes on by itself",
            headers=("Location", "Retry-After", "Preference-Applied"),
            links=responses.following("showDeletion", at="/response/deletionId"),
            pending=examples.PENDING,
        ),
        **responses.errors(409, 428, 429),
        400: responses.told(
            Error,
            "The request cannot be carried out, or the deletion has failed: then `Location` and `deletionId` name it",
            headers=("Location",),
            unknown=examples.UNKNOWN,
            failed=examples.FAILED,
        ),
    },
)
def delete_instance(path: ByName, header: Preference) -> Response:  # noqa: ARG001 - the name is read as it was sent
    """Erase the instance everywhere; SUCCESS means that it is gone and that this was checked."""
    name = _unambiguous_name()
    wish = prefer.read(header.prefer, current.services().settings.wait_seconds)
    deletion_id = orders.submit_by_name(name)
    return _report(deletion_id, wish)


@blueprint.delete(
    "/instance/logout/<string:instanceName>",
    summary="Log an instance out",
    responses={200: responses.told(Success, "The session has ended", loggedOut=examples.LOGGED_OUT)},
)
def log_instance_out(path: ByName) -> Response:  # noqa: ARG001 - the name is read as it was sent
    """End the WhatsApp session; nothing else is touched."""
    instance = orders.find(Action.LOGOUT, name=_unambiguous_name())
    orders.log_out(instance)
    return answer(_success("Instance logged out"))


def _unambiguous_name() -> str:
    """The decoded name, unless a client that does not encode could have meant another instance."""
    name, literal = raw_target.name_of_request(), raw_target.literal_name_of_request()
    if literal is not None and _is_known(literal) and current.services().tenant.find(name=literal):
        raise BadRequest(f'"{literal}" is the name of an instance as well: delete by id, with POST /deletions')
    return name


def _is_known(name: str) -> bool:
    """Whether the caller may learn that somebody bears the name."""
    instances = auth.principal().instances
    return auth.principal().sees_all or (instances is not None and name in instances)


def _report(deletion_id: UUID, wish: Wish) -> Response:
    """Wait for the end as long as the caller wishes, and say how far it is."""
    if _wait(deletion_id, wish.wait_seconds):
        status, reason = _status(deletion_id)
        if status is DeletionStatus.SUCCEEDED:
            return answer(_success("Instance deleted"))
        if status not in UNDER_WAY:
            raise DeletionFailed(
                reason or f"The deletion was {status.value}",
                headers={"Location": f"/deletions/{deletion_id}"},
                deletionId=str(deletion_id),
            )
    headers = {"Location": f"/deletions/{deletion_id}", "Retry-After": str(_RETRY_AFTER_SECONDS)}
    if wish.applied:
        headers["Preference-Applied"] = wish.applied
    response = {"message": "Instance deletion in progress", "deletionId": str(deletion_id)}
    return answer({"status": "PENDING", "error": False, "response": response}, 202, headers)


def _wait(deletion_id: UUID, seconds: float) -> bool:
    """Whether it ended; with no place to wait left, or no wish to, it is not waited for."""
    places = current.waiters()
    if seconds <= 0 or not places.acquire(blocking=False):
        return False
    try:
        return waiting.wait_until(
            current.services().redis, deletion_id, lambda: _status(deletion_id)[0] not in UNDER_WAY, seconds
        )
    except LetheError:  # accepted is accepted: that it cannot be watched now is no error of the deletion
        return False
    finally:
        places.release()


def _status(deletion_id: UUID) -> tuple[DeletionStatus, str | None]:
    query = select(Deletion.status, Deletion.reason).where(Deletion.id == deletion_id)
    with translate_errors("the own database"), Session(current.services().own) as session:
        status, reason = session.execute(query).one()
    return DeletionStatus(status), reason


def _success(message: str) -> dict[str, Any]:
    return {"status": "SUCCESS", "error": False, "response": {"message": message}}
