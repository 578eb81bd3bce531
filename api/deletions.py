"""Deletions as a resource: order one, look at one."""

from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from api import auth, current, submission
from api.errors import NotFound, Unauthorized, UnknownInstance, answer
from api.schemas import ById, DeletionView, Error, Order, Preview
from shared.database import reaching
from shared.models import Deletion
from tasks import pipeline
from tasks.context import Target

blueprint = APIBlueprint(
    "deletions",
    __name__,
    abp_tags=[Tag(name="deletions", description="The promise to erase an instance, and how far it is")],
    abp_security=[{"apikey": []}],
    abp_responses={400: Error, 401: Error, 500: Error},
)
blueprint.before_request(auth.authenticate)


@blueprint.post("/deletions", summary="Order a deletion", responses={200: Preview, 202: DeletionView, 409: Error})
def order_deletion(body: Order) -> Response:
    """Accept a deletion by name or id and answer at once; with dryRun only count what would go."""
    if body.dry_run:
        return _preview(body)
    if body.instance_name is not None:
        deletion_id = submission.submit_by_name(body.instance_name)
    else:
        deletion_id = submission.submit_by_id(str(body.instance_id))
    return answer(_shown(_load(deletion_id)), 202, {"Location": f"/deletions/{deletion_id}"})


@blueprint.get("/deletions/<uuid:deletion_id>", summary="Look at a deletion", responses={200: DeletionView, 404: Error})
def show_deletion(path: ById) -> Response:
    """Each step with its status, counts, attempts, times and error."""
    deletion = _load(path.deletion_id)
    caller_is_admin = auth.principal().is_admin
    if deletion is None:
        raise NotFound("There is no such deletion") if caller_is_admin else Unauthorized
    if not caller_is_admin and not auth.may_touch(None, deletion):
        instance = current.services().tenant.find(instance_id=deletion.instance_id)
        if not auth.may_touch(instance, deletion):
            raise Unauthorized
    return answer(_shown(deletion))


def _load(deletion_id: UUID) -> Deletion | None:
    query = select(Deletion).where(Deletion.id == deletion_id).options(selectinload(Deletion.steps))
    with reaching("the own database"), Session(current.services().own, expire_on_commit=False) as session:
        return session.scalar(query)


def _preview(order: Order) -> Response:
    tenant = current.services().tenant
    instance = tenant.find(name=order.instance_name, instance_id=order.instance_id)
    if not auth.may_touch(instance):
        raise Unauthorized
    if instance is None:
        raise UnknownInstance(str(order.instance_name or order.instance_id))
    planned = pipeline.preview(Target(current.services(), instance.id, instance.name))
    return answer(_json(Preview(instance_id=instance.id, instance_name=instance.name, planned=planned)))


def _shown(deletion: Deletion | None) -> dict[str, object]:
    if deletion is None:
        raise NotFound("There is no such deletion")
    return _json(DeletionView.of(deletion, deletion.steps))


def _json(view: BaseModel) -> dict[str, object]:
    return view.model_dump(mode="json", by_alias=True)
