"""Deletions as a resource: order, look at, resume and cancel them."""

import json
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from api.openapi import examples, responses
from api.openapi.schemas import ById, Confirming, DeletionList, DeletionView, Filter, Order, Ordered, Preview, Retry
from api.request import auditing, auth, confirmation, current, orders
from api.request.errors import BadRequest, Conflict, NotFound, Unauthorized, answer
from shared.access.confirmation import WARNING
from shared.audit.entries import Action
from shared.database.connections import translate_errors
from shared.database.enums import Role
from shared.database.models import Deletion, StepStatus
from shared.deletions import loading
from shared.errors import LetheError
from shared.evolution.rows import servers
from tasks import pipeline
from tasks.context import Target
from tasks.orders import resume

blueprint = APIBlueprint(
    "deletions",
    __name__,
    abp_tags=[Tag(name="deletions", description="The promise to erase an instance, and how far it is")],
    abp_security=[{"apikey": []}],
    abp_responses=responses.errors(401),
    operation_id_callback=responses.operation_id,
)
blueprint.before_request(auth.authenticate)

_FOUND = responses.told(DeletionView, "The deletion as it is now", deletion=examples.DELETION)
_CANCELLED = responses.told(DeletionView, "It will not begin", deletion=examples.CANCELLED)
_ORDERED = responses.told(
    Ordered,
    "Accepted: it goes on by itself",
    headers=("Location",),
    links=responses.following("showDeletion", "cancelDeletion", "retryDeletion", "showReceipt"),
    deletion=examples.DELETION,
)


@blueprint.post(
    "/deletions",
    summary="Order a deletion",
    responses={
        200: responses.told(Preview, "With dryRun: what would go", preview=examples.PREVIEW),
        202: _ORDERED,
        **responses.errors(409, 413, 428, 429),
    },
)
def order_deletion(body: Order, header: Confirming) -> Response:  # noqa: ARG001 - read where it is demanded
    """Accept a deletion by name or id and answer at once; with dryRun only count what would go."""
    if body.dry_run:
        return _preview(body)
    if body.instance_name is not None:
        deletion_id = orders.submit_by_name(body.instance_name)
    else:
        deletion_id = orders.submit_by_id(str(body.instance_id))
    return _accepted(deletion_id)


@blueprint.get(
    "/deletions",
    summary="List deletions",
    responses={200: responses.told(DeletionList, "Some deletions, newest first", page=examples.DELETIONS)},
)
def list_deletions(query: Filter) -> Response:
    """Newest first, a page at a time: those that the key may see."""
    page, following = find_page(query)
    return answer({"deletions": [shown(deletion) for deletion in page], "next": following})


def find_page(query: Filter) -> tuple[list[Deletion], str | None]:
    """Some deletions that the caller may see, newest first, and the cursor for those that follow."""
    visible = auth.visible()
    wanted = select(Deletion).where(visible).options(*loading.FOR_DISPLAY)
    if query.status:
        wanted = wanted.where(Deletion.status == query.status)
    if query.cursor:
        behind = select(Deletion.accepted_at, Deletion.id).where(Deletion.id == query.cursor, visible)
        wanted = wanted.where(tuple_(Deletion.accepted_at, Deletion.id) < behind.scalar_subquery())
    wanted = wanted.order_by(Deletion.accepted_at.desc(), Deletion.id.desc()).limit(query.limit + 1)
    with translate_errors("the own database"), Session(current.services().own, expire_on_commit=False) as session:
        found = list(session.scalars(wanted))
    page = found[: query.limit]
    return page, str(page[-1].id) if len(found) > query.limit else None


@blueprint.get(
    "/deletions/<uuid:deletion_id>",
    summary="Look at a deletion",
    responses={200: _FOUND, **responses.errors(404)},
)
def show_deletion(path: ById) -> Response:
    """Each step with its status, counts, attempts, times and error."""
    return answer(shown(permitted(path.deletion_id)))


@blueprint.post(
    "/deletions/<uuid:deletion_id>/retry",
    summary="Resume a deletion",
    responses={202: _ORDERED, **responses.errors(404, 409, 413, 428, 429)},
)
def retry_deletion(path: ById, body: Retry, header: Confirming) -> Response:  # noqa: ARG001 - read where it is demanded
    """Let a failed or waiting deletion go on at once from where it stopped; an admin may give gateways up."""
    retry(path.deletion_id, body)
    return _accepted(path.deletion_id)


def retry(deletion_id: UUID, body: Retry) -> None:
    """Let the caller's stopped deletion go on; raises Conflict when there is nothing to resume."""
    deletion, services = own(deletion_id), current.services()
    _check_given_up(body.without_gateway)
    confirmed = orders.confirm_again(deletion)
    if not resume.resume(services, deletion.id, orders.caller(), body.without_gateway, confirmation=confirmed):
        raise Conflict(
            f"The deletion is {deletion.status.value}: there is nothing to resume", deletionId=str(deletion.id)
        )


def _check_given_up(gateways: list[str]) -> None:
    """Only an admin may give gateways up, and only those that there are; a server that is not listed by its name."""
    if gateways and auth.principal().role is not Role.ADMIN:
        raise Unauthorized
    services = current.services()
    if unknown := servers.unknown(services.tenant, services.settings.gateways, gateways):
        raise BadRequest(f"Neither a gateway of the settings nor the clientName of a server: {unknown[0]}")


@blueprint.post(
    "/deletions/<uuid:deletion_id>/cancel",
    summary="Cancel a deletion",
    responses={200: _CANCELLED, **responses.errors(404, 409)},
)
def cancel_deletion(path: ById) -> Response:
    """Stop a deletion of which nothing has been done yet: the instance stays as it was."""
    cancel(path.deletion_id)
    return answer(shown(_load(path.deletion_id)))


def cancel(deletion_id: UUID) -> None:
    """Stop the caller's deletion; raises Conflict when something has been done already."""
    deletion = own(deletion_id)
    if not resume.cancel(current.services(), deletion.id, auditing.actor()):
        done = [step.name for step in _load(deletion.id).steps if step.status is not StepStatus.PENDING]
        what = f"Too late to cancel, begun or done: {', '.join(done) or deletion.status.value}"
        raise Conflict(what, deletionId=str(deletion.id))


def own(deletion_id: UUID) -> Deletion:
    """The deletion, if it is the caller's to resume or cancel."""
    deletion = permitted(deletion_id)
    if not auth.may_undo(deletion):
        raise Unauthorized
    return deletion


def permitted(deletion_id: UUID) -> Deletion:
    """The deletion, if the caller may see it; who may not cannot tell whether it exists."""
    try:
        deletion = _load(deletion_id)
    except NotFound:
        raise NotFound("There is no such deletion") if auth.principal().sees_all else Unauthorized() from None
    auditing.about(deletion.instance_id, deletion.id)
    if auth.may_touch(None, deletion):
        return deletion
    instance = current.services().tenant.find(instance_id=deletion.instance_id)
    if not auth.may_touch(instance, deletion):
        raise Unauthorized
    return deletion


def _load(deletion_id: UUID) -> Deletion:
    query = select(Deletion).where(Deletion.id == deletion_id).options(*loading.FOR_DISPLAY)
    with translate_errors("the own database"), Session(current.services().own, expire_on_commit=False) as session:
        found = session.scalar(query)
    if found is None:
        raise NotFound("There is no such deletion")
    return found


def _preview(order: Order) -> Response:
    auditing.acting(Action.PREVIEW)
    _check_given_up(order.without_gateway)
    instance = orders.find(Action.PREVIEW, name=order.instance_name, instance_id=order.instance_id)
    planned = pipeline.preview(Target(current.services(), instance.id, instance.name, tuple(order.without_gateway)))
    shown = Preview(
        instance_id=instance.id,
        instance_name=instance.name,
        planned=planned,
        warning=WARNING,
        confirmation_token=confirmation.token_for(instance, planned),
    )
    return answer(_json(shown))


def _accepted(deletion_id: UUID) -> Response:
    headers = {"Location": f"/deletions/{deletion_id}"}
    try:
        return answer(shown(_load(deletion_id)), 202, headers)
    except LetheError:  # accepted is accepted, also when it cannot be shown now
        return answer({"id": str(deletion_id)}, 202, headers)


def shown(deletion: Deletion) -> dict[str, object]:
    """The deletion as the caller may see it."""
    view = _json(DeletionView.of(deletion))
    return view if auth.principal().sees_all else _without_addresses(view)


def _without_addresses(view: dict[str, object]) -> dict[str, object]:
    """Where the gateways stand is not a customer's business."""
    text = json.dumps(view)
    for number, url in enumerate(current.services().settings.gateways, 1):
        text = text.replace(json.dumps(url)[1:-1], f"gateway {number}")
    told: dict[str, object] = json.loads(text)
    return told


def _json(view: BaseModel) -> dict[str, object]:
    return view.model_dump(mode="json", by_alias=True)
