"""The two documented endpoints: DELETE /instance/delete/{name} and DELETE /instance/logout/{name}."""

import math
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import Response

from api.openapi import examples, responses
from api.openapi.blueprints import protected_blueprint
from api.openapi.documented_schemas import Pending, Success
from api.openapi.schemas import ByName, Error, Preference
from api.request import auth, orders, prefer_header, raw_target, resources
from api.request.errors import BadRequest, DeletionFailed, json_response
from api.request.prefer_header import WaitPreference
from shared.audit.entries import Action
from shared.database import timing
from shared.database.models import UNDER_WAY, DeletionStatus
from shared.deletions import display, waiting
from shared.deletions.display import Standing
from shared.errors import LetheError

_RETRY_AFTER_SECONDS = 5

blueprint = protected_blueprint("instances", __name__, "The two endpoints of Evolution API that Lethe takes over", 404)


@blueprint.delete(
    "/instance/delete/<string:instanceName>",
    summary="Erase an instance",
    responses={
        200: responses.response(Success, "Everything was removed, and that was checked", deleted=examples.DELETED),
        202: responses.response(
            Pending,
            "Not finished yet: the workers carry it on, or it is scheduled and begins at `notBefore`",
            headers=("Location", "Retry-After", "Preference-Applied"),
            links=responses.links_to("showDeletion", at="/response/deletionId"),
            pending=examples.PENDING,
            scheduled=examples.SCHEDULED,
        ),
        **responses.errors(409, 428, 429),
        400: responses.response(
            Error,
            "The request cannot be carried out, or the deletion has failed: then `Location` and `deletionId` name it",
            headers=("Location",),
            unknown=examples.UNKNOWN,
            failed=examples.FAILED,
        ),
    },
)
def delete_instance(path: ByName, header: Preference) -> Response:  # noqa: ARG001 - the name is read as it was sent
    """Erase the instance everywhere; SUCCESS means that everything was removed and that this was checked."""
    name = _unambiguous_name()
    preference = prefer_header.parse(header.prefer, resources.services().settings.wait_seconds)
    deletion_id = orders.submit_by_name(name)
    return _report(deletion_id, preference)


@blueprint.delete(
    "/instance/logout/<string:instanceName>",
    summary="Log an instance out",
    responses={200: responses.response(Success, "The session has ended", loggedOut=examples.LOGGED_OUT)},
)
def log_instance_out(path: ByName) -> Response:  # noqa: ARG001 - the name is read as it was sent
    """End the WhatsApp session; nothing is deleted."""
    instance = orders.find(Action.LOGOUT, name=_unambiguous_name())
    orders.log_out(instance)
    return json_response(_success("Instance logged out"))


def _unambiguous_name() -> str:
    """The decoded name, without a raw slash at its end, as Express reads it.

    Raises BadRequest when another instance has the name as it was sent, or has or had it with the slash.
    """
    name, literal = raw_target.name_of_request(), raw_target.literal_name_of_request()
    if raw_target.has_last_slash():
        if _was_borne(name):
            raise BadRequest(
                f'"{name}" is the name of an instance as well: send its last slash as %2F, or leave it out'
            )
        name, literal = name[:-1], literal and literal[:-1]
    if literal is not None and _is_known(literal) and resources.services().tenant.find(name=literal):
        raise BadRequest(f'"{literal}" is the name of an instance as well: delete by id, with POST /deletions')
    return name


def _was_borne(name: str) -> bool:
    """Whether an instance that the caller may access has the name, or a deletion ever had it."""
    services = resources.services()
    instance, deletion = services.tenant.find(name=name), display.newest_of_name(services.own, name)
    return any((instance and auth.may_access(instance), deletion and auth.may_access(None, deletion)))


def _is_known(name: str) -> bool:
    """Whether the caller may learn that an instance has this name."""
    instances = auth.principal().instances
    return auth.principal().sees_all or (instances is not None and name in instances)


def _report(deletion_id: UUID, preference: WaitPreference) -> Response:
    """Wait for the end as long as the caller prefers, then answer with the result, or 202; at once if scheduled."""
    status, reason, not_before = _wait(deletion_id, preference.wait_seconds)
    if status is DeletionStatus.SUCCEEDED:
        return json_response(_success("Instance deleted"))
    if status is DeletionStatus.SCHEDULED and not_before:
        return _pending(deletion_id, preference, "Instance deletion scheduled", not_before)
    if status not in UNDER_WAY:
        raise DeletionFailed(
            reason or f"The deletion was {status.value}",
            headers={"Location": f"/deletions/{deletion_id}"},
            deletionId=str(deletion_id),
        )
    return _pending(deletion_id, preference, "Instance deletion in progress")


def _pending(
    deletion_id: UUID, preference: WaitPreference, message: str, not_before: datetime | None = None
) -> Response:
    """202; for a scheduled deletion with its moment."""
    headers, response = {"Location": f"/deletions/{deletion_id}"}, {"message": message, "deletionId": str(deletion_id)}
    seconds = _RETRY_AFTER_SECONDS
    if not_before:
        response["notBefore"] = not_before.astimezone(UTC).isoformat().replace("+00:00", "Z")
        seconds = max(1, math.ceil((not_before - timing.now(resources.services().own)).total_seconds()))
    headers["Retry-After"] = str(seconds)
    if preference.applied and not (not_before and preference.wait_seconds):  # a scheduled one is not waited for
        headers["Preference-Applied"] = preference.applied
    return json_response({"status": "PENDING", "error": False, "response": response}, 202, headers)


def _wait(deletion_id: UUID, seconds: float) -> Standing:
    """Wait for the end; the last status seen. Does not wait when no waiting slot is free, nor for a moment."""
    services, slots = resources.services(), resources.waiting_slots()
    seen = [Standing(DeletionStatus.QUEUED)]

    def has_ended() -> bool:
        seen.append(display.load_status(services.own, deletion_id))
        return seen[-1].status not in UNDER_WAY

    try:
        if seconds > 0 and slots.acquire(blocking=False):
            try:
                waiting.wait_until(services.redis, deletion_id, has_ended, seconds)
            finally:
                slots.release()
        elif (now := display.load_status(services.own, deletion_id)).status is DeletionStatus.SCHEDULED:
            return now
    except LetheError:  # the deletion is accepted; it only cannot be watched now
        return Standing(DeletionStatus.QUEUED)
    return seen[-1]


def _success(message: str) -> dict[str, Any]:
    return {"status": "SUCCESS", "error": False, "response": {"message": message}}
