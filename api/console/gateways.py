"""The console's page to give up a gateway that is gone for good: the deletion then continues without it."""

from uuid import UUID

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from api import deletions
from api.console import deletion_view
from api.openapi.schemas import Retry
from api.request import confirmation, orders, resources
from api.request.errors import BadRequest, Conflict, NotFound, Unauthorized
from shared.audit.entries import Action
from shared.database.models import Deletion
from shared.settings import ConfirmationMode
from tasks import pipeline
from tasks.context import Target

blueprint = Blueprint("gateways", __name__, url_prefix="/deletions/<uuid:deletion_id>/gateways/<int:number>")


@blueprint.get("/give-up")
def show_form(deletion_id: UUID, number: int) -> str:
    """The consequences, and the form."""
    deletion, url = _stopped(deletion_id, number)
    required = (
        resources.services().settings.confirmation
        if deletion_view.needs_confirmation(deletion)
        else ConfirmationMode.OFF
    )
    preview = _preview(deletion) if required is ConfirmationMode.TOKEN else {}
    return render_template("give_up.html", deletion=deletion, url=url, number=number, required=required, **preview)


@blueprint.post("/give-up")
def give_up(deletion_id: UUID, number: int) -> AnyResponse:
    """Resume the deletion without the gateway whose box was ticked."""
    _, url = _stopped(deletion_id, number)
    if request.form.get("gone") != url:
        raise BadRequest('The box "is gone for good" was not ticked. Nothing was changed.')
    confirmation.read_from_form()
    deletions.retry(deletion_id, Retry.model_validate({"withoutGateway": [url]}))
    return deletion_view.redirect_to(deletion_id)


def _stopped(deletion_id: UUID, number: int) -> tuple[Deletion, str]:
    """The deletion and the gateway's URL, if the caller may give it up and it was not given up before."""
    deletion = deletions.find_changeable(deletion_id)
    if not deletion_view.may_give_up_gateways():
        raise Unauthorized
    if deletion.status not in deletion_view.STOPPED:
        raise Conflict(f"The deletion is {deletion.status.value}: it waits for no gateway", deletionId=str(deletion.id))
    for known, url in deletion_view.remaining_gateways(deletion):
        if known == number:
            return deletion, url
    raise NotFound("There is no such gateway, or it was already given up")


def _preview(deletion: Deletion) -> dict[str, object]:
    """What would be removed, and the confirmation token. No gateway is asked: another one may be unreachable too."""
    services = resources.services()
    instance = orders.find(Action.PREVIEW, instance_id=deletion.instance_id)
    target = Target(services, instance.id, instance.name, services.settings.gateways)
    planned = pipeline.preview(target)
    return {
        "planned": planned,
        "coverage": pipeline.coverage_of(target),
        "token": confirmation.token_of_preview(instance, planned),
    }
