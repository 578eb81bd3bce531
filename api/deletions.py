"""The endpoints of deletions: order, list, show, resume, run now and cancel them."""

import json
from uuid import UUID

from flask import Response
from pydantic import BaseModel
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from api import bulk
from api.guards import json_bodies
from api.openapi import examples, responses
from api.openapi.blueprints import protected_blueprint
from api.openapi.order_schemas import Ordered, OrderedOrMany, Preview, PreviewOfOrder
from api.openapi.schemas import ById, Confirming, DeletionList, DeletionView, Filter, Order, Retry
from api.request import auditing, auth, confirmation, orders, resources
from api.request.errors import BadRequest, Conflict, NotFound, Unauthorized, json_response
from shared.access.confirmation import WARNING
from shared.audit.entries import Action
from shared.database.connections import translate_errors
from shared.database.enums import Role
from shared.database.models import Deletion, DeletionStatus, StepStatus
from shared.deletions import display
from shared.errors import LetheError
from shared.evolution.rows import servers
from shared.webhooks.events import OPERATOR
from tasks import pipeline
from tasks.context import Target
from tasks.orders import resume, schedule

blueprint = protected_blueprint("deletions", __name__, "Order deletions, follow them, resume, run now or cancel them")

_FOUND = responses.response(DeletionView, "The deletion as it is now", deletion=examples.DELETION)
_CANCELLED = responses.response(DeletionView, "Cancelled: nothing was removed", deletion=examples.CANCELLED)
_LINKS = responses.links_to("showDeletion", "cancelDeletion", "runDeletionNow", "retryDeletion", "showReceipt")
_ORDERED = responses.response(
    Ordered,
    "Accepted; the workers carry it out",
    headers=("Location",),
    links=_LINKS,
    deletion=examples.DELETION,
)


@blueprint.post(
    "/deletions",
    summary="Order a deletion",
    responses={
        200: responses.response(
            PreviewOfOrder,
            "With dryRun: what would be removed. Without: a list of names of which none was accepted",
            preview=examples.PREVIEW,
            previewOfMany=examples.BULK_PREVIEW,
        ),
        202: responses.response(
            OrderedOrMany,
            "Accepted; the workers carry it out. With instanceNames: at least one was accepted",
            headers=("Location",),
            links=_LINKS,
            deletion=examples.DELETION,
            many=examples.BULK_ORDERED,
        ),
        **responses.errors(409, 413, 428, 429),
    },
)
def order_deletion(body: Order, header: Confirming) -> Response:  # noqa: ARG001 - api.request.confirmation reads it
    """Accept a deletion by name or id, or many by their names, and answer at once; with dryRun, count what would go."""
    if body.instance_names is not None:
        names = body.instance_names
        if body.dry_run:
            return bulk.preview(names, body.not_before, exports=body.export)
        return bulk.order(names, body.digest, body.not_before, exports=body.export)
    json_bodies.refuse_large()
    if body.dry_run:
        return _preview(body)
    if body.instance_name is not None:
        deletion_id = orders.submit_by_name(body.instance_name, body.not_before, body.export)
    else:
        deletion_id = orders.submit_by_id(str(body.instance_id), body.not_before, body.export)
    return _accepted(deletion_id)


@blueprint.get(
    "/deletions",
    summary="List deletions",
    responses={200: responses.response(DeletionList, "One page of deletions, newest first", page=examples.DELETIONS)},
)
def list_deletions(query: Filter) -> Response:
    """The deletions that the key may see, newest first, one page at a time."""
    page, following = find_page(query)
    counts = {"counts": count_by_status(query.bulk)} if query.bulk else {}
    return json_response({"deletions": [as_json(deletion) for deletion in page], "next": following, **counts})


def count_by_status(bulk_id: UUID) -> dict[DeletionStatus, int]:
    """How many deletions of this order the caller may see with each status."""
    return display.count_by_status(resources.services().own, bulk_id, auth.visible_deletions())


def find_page(query: Filter) -> tuple[list[Deletion], str | None]:
    """One page of the deletions that the caller may see, newest first, and the cursor of the next page."""
    visible = auth.visible_deletions()
    wanted = select(Deletion).where(visible).options(*display.OPTIONS)
    if query.status:
        wanted = wanted.where(Deletion.status == query.status)
    if query.bulk:
        wanted = wanted.where(Deletion.bulk_id == query.bulk)
    if query.cursor:
        behind = select(Deletion.accepted_at, Deletion.id).where(Deletion.id == query.cursor, visible)
        wanted = wanted.where(tuple_(Deletion.accepted_at, Deletion.id) < behind.scalar_subquery())
    wanted = wanted.order_by(Deletion.accepted_at.desc(), Deletion.id.desc()).limit(query.limit + 1)
    with translate_errors("the own database"), Session(resources.services().own, expire_on_commit=False) as session:
        found = list(session.scalars(wanted))
    page = found[: query.limit]
    return page, str(page[-1].id) if len(found) > query.limit else None


@blueprint.get(
    "/deletions/<uuid:deletion_id>",
    summary="Show a deletion",
    responses={200: _FOUND, **responses.errors(404)},
)
def show_deletion(path: ById) -> Response:
    """Each step with its status, counts, attempts, times and error."""
    return json_response(as_json(find_permitted(path.deletion_id)))


@blueprint.post(
    "/deletions/<uuid:deletion_id>/retry",
    summary="Resume a deletion",
    responses={202: _ORDERED, **responses.errors(404, 409, 413, 428, 429)},
)
def retry_deletion(path: ById, body: Retry, header: Confirming) -> Response:  # noqa: ARG001 - as above
    """Resume a failed or waiting deletion at once, from where it stopped; an admin may give up gateways."""
    retry(path.deletion_id, body)
    return _accepted(path.deletion_id)


def retry(deletion_id: UUID, body: Retry) -> None:
    """Resume a failed or waiting deletion; raises Conflict for any other status."""
    deletion, services = find_changeable(deletion_id), resources.services()
    _check_without_gateways(body.without_gateway)
    confirmed = orders.confirm_resume(deletion)
    if not resume.resume(services, deletion.id, orders.caller(), body.without_gateway, confirmation=confirmed):
        raise Conflict(
            f"The deletion is {deletion.status.value}: there is nothing to resume", deletionId=str(deletion.id)
        )


def _check_without_gateways(gateways: list[str]) -> None:
    """Only an admin may give up gateways, and only known ones: by URL, or an unlisted server by its clientName."""
    if gateways and auth.principal().role is not Role.ADMIN:
        raise Unauthorized
    services = resources.services()
    if unknown := servers.unknown(services.tenant, services.settings.gateways, gateways):
        raise BadRequest(f"Neither a gateway of the settings nor the clientName of a server: {unknown[0]}")


@blueprint.post(
    "/deletions/<uuid:deletion_id>/run-now",
    summary="Run a scheduled deletion now",
    responses={202: _ORDERED, **responses.errors(404, 409, 429)},
)
def run_deletion_now(path: ById) -> Response:
    """Begin a scheduled deletion now, not at its moment."""
    run_now(path.deletion_id)
    return _accepted(path.deletion_id)


def run_now(deletion_id: UUID) -> None:
    """Begin a scheduled deletion now; raises Conflict for any other status."""
    deletion = find_changeable(deletion_id)
    if not schedule.run_now(resources.services(), deletion.id, orders.caller()):
        status = _load(deletion.id).status.value
        raise Conflict(f"The deletion is {status}: only a scheduled one can be run now", deletionId=str(deletion.id))


@blueprint.post(
    "/deletions/<uuid:deletion_id>/cancel",
    summary="Cancel a deletion",
    responses={200: _CANCELLED, **responses.errors(404, 409)},
)
def cancel_deletion(path: ById) -> Response:
    """Cancel a deletion whose first step has not begun: the instance stays as it was."""
    cancel(path.deletion_id)
    return json_response(as_json(_load(path.deletion_id)))


def cancel(deletion_id: UUID) -> None:
    """Cancel a deletion; raises Conflict when a step has begun."""
    deletion = find_changeable(deletion_id)
    if not resume.cancel(resources.services(), deletion.id, auditing.actor()):
        done = [step.name for step in _load(deletion.id).steps if step.status is not StepStatus.PENDING]
        what = f"Too late to cancel, begun or done: {', '.join(done) or deletion.status.value}"
        raise Conflict(what, deletionId=str(deletion.id))


def find_changeable(deletion_id: UUID) -> Deletion:
    """The deletion, if the caller may resume, run or cancel it; raises Unauthorized or NotFound."""
    deletion = find_permitted(deletion_id)
    if not auth.may_change(deletion):
        raise Unauthorized
    return deletion


def find_permitted(deletion_id: UUID) -> Deletion:
    """The deletion, if the caller may see it; raises Unauthorized or NotFound.

    A caller that is limited to some instances gets Unauthorized, whether the deletion exists or not.
    """
    try:
        deletion = _load(deletion_id)
    except NotFound:
        raise NotFound("There is no such deletion") if auth.principal().sees_all else Unauthorized() from None
    auditing.set_subject(deletion.instance_id, deletion.id)
    if auth.may_access(None, deletion):
        return deletion
    instance = resources.services().tenant.find(instance_id=deletion.instance_id)
    if not auth.may_access(instance, deletion):
        raise Unauthorized
    return deletion


def _load(deletion_id: UUID) -> Deletion:
    found = display.load(resources.services().own, deletion_id)
    if found is None:
        raise NotFound("There is no such deletion")
    return found


def _preview(order: Order) -> Response:
    auditing.set_action(Action.PREVIEW)
    _check_without_gateways(order.without_gateway)
    instance = orders.find(Action.PREVIEW, name=order.instance_name, instance_id=order.instance_id)
    schedule.check(resources.services(), order.not_before)
    target = Target(
        resources.services(), instance.id, instance.name, tuple(order.without_gateway), exports=order.export
    )
    planned, found = pipeline.preview(target), pipeline.coverage_of(target)
    preview = Preview(
        instance_id=instance.id,
        instance_name=instance.name,
        planned=planned,
        not_covered=list(found.not_covered),
        not_rehearsed=list(found.not_rehearsed),
        warning=WARNING,
        confirmation_token=confirmation.token_of_preview(instance, planned),
    )
    return json_response(_dump(preview))


def _accepted(deletion_id: UUID) -> Response:
    headers = {"Location": f"/deletions/{deletion_id}"}
    try:
        return json_response(as_json(_load(deletion_id)), 202, headers)
    except LetheError:  # it is accepted, also when it cannot be loaded now
        return json_response({"id": str(deletion_id)}, 202, headers)


def as_json(deletion: Deletion) -> dict[str, object]:
    """The deletion as this caller may see it.

    Gateway addresses, and what became of the operator's own events, are only for callers that may access all instances.
    """
    view = DeletionView.of(deletion)
    if auth.principal().sees_all:
        return _dump(view)
    view.webhooks = [each for each in view.webhooks if each.target != OPERATOR]
    return _without_addresses(_dump(view))


def _without_addresses(view: dict[str, object]) -> dict[str, object]:
    """Replace gateway addresses by `gateway 1`, `gateway 2`, in the order of the settings."""
    text = json.dumps(view)
    for number, url in enumerate(resources.services().settings.gateways, 1):
        text = text.replace(json.dumps(url)[1:-1], f"gateway {number}")
    hidden: dict[str, object] = json.loads(text)
    return hidden


def _dump(view: BaseModel) -> dict[str, object]:
    return view.model_dump(mode="json", by_alias=True)
