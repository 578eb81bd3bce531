"""Giving up a gateway that is gone for good: a stopped deletion then goes on without it."""

from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from api import deletions
from api.console import deletion_view
from api.openapi.schemas import Retry
from api.request import confirmation, current, orders
from api.request.errors import BadRequest, Conflict, NotFound, Unauthorized
from shared.audit.entries import Action
from shared.database.models import Deletion
from shared.settings import ConfirmationMode
from tasks import pipeline
from tasks.context import Target

blueprint = Blueprint("giving_up", __name__, url_prefix="/deletions/<uuid:deletion_id>/gateways/<int:number>")


@blueprint.get("/give-up")
def ask(deletion_id: UUID, number: int) -> str:
    """What follows from it, and the form that does it."""
    deletion, url = _stopped(deletion_id, number)
    demanded = (
        current.services().settings.confirmation if deletion_view.must_be_confirmed(deletion) else ConfirmationMode.OFF
    )
    shown = _preview(deletion) if demanded is ConfirmationMode.TOKEN else {}
    return render_template("give_up.html", deletion=deletion, url=url, number=number, demanded=demanded, **shown)


@blueprint.post("/give-up")
def give_up(deletion_id: UUID, number: int) -> AnyResponse:
    """Let the deletion go on without the gateway whose box was ticked."""
    _, url = _stopped(deletion_id, number)
    if request.form.get("gone") != url:
        raise BadRequest("It was not ticked that this gateway is gone for good. Nothing was changed.")
    confirmation.came_with(request.form.get("confirmation_token"), request.form.get("confirmation_code"))
    deletions.retry(deletion_id, Retry.model_validate({"withoutGateway": [url]}))
    return redirect(url_for("console.deletions.show_deletion", deletion_id=deletion_id), 303)


def _stopped(deletion_id: UUID, number: int) -> tuple[Deletion, str]:
    """The deletion and the gateway that are meant, if the caller may give it up and there is one to give up."""
    deletion = deletions.own(deletion_id)
    if not deletion_view.may_give_up():
        raise Unauthorized
    if deletion.status not in deletion_view.STOPPED:
        raise Conflict(f"The deletion is {deletion.status.value}: it waits for no gateway", deletionId=str(deletion.id))
    for known, url in deletion_view.counted_on(deletion):
        if known == number:
            return deletion, url
    raise NotFound("There is no such gateway, or it was given up already")


def _preview(deletion: Deletion) -> dict[str, object]:
    """What would go, and the token of having looked at it; no gateway is asked, for more than one may be away."""
    services = current.services()
    instance = orders.find(Action.PREVIEW, instance_id=deletion.instance_id)
    planned = pipeline.preview(Target(services, instance.id, instance.name, services.settings.gateways))
    return {"planned": planned, "token": confirmation.token_for(instance, planned)}
