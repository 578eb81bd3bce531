"""Instances: find one, see what would go with it, and order its deletion by typing its name."""

from collections.abc import Collection
from uuid import UUID

from flask import Blueprint, flash, g, make_response, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from api.console import deletion_view
from api.request import auditing, auth, confirmation, current, orders
from api.request.errors import BadRequest, NotFound, Unauthorized
from shared.access.confirmation import text_to_type
from shared.audit.entries import Action
from shared.database.connections import translate_errors
from shared.database.models import ENDED, Deletion
from shared.evolution.rows import listing
from shared.evolution.rows.listing import Listed
from shared.evolution.rows.tenant import Instance
from tasks import pipeline
from tasks.context import Target

_PAGE = 25

blueprint = Blueprint("instances", __name__)


@blueprint.route("/", methods=["GET", "POST"])
def list_instances() -> str:
    """A page of those that the key may see; what is looked for is a form's, for a name in a URL would be kept."""
    wanted, after = request.form.get("wanted", ""), request.form.get("after", "")
    found = listing.find_page(
        current.services().tenant, wanted=wanted, names=auth.principal().instances, after=after, limit=_PAGE + 1
    )
    page = found[:_PAGE]
    following = page[-1].id if len(found) > _PAGE else None
    going = _unfinished([instance.id for instance in page])
    return render_template("instances.html", instances=page, wanted=wanted, following=following, going=going)


@blueprint.get("/instances/<string:instance_id>")
def show_instance(instance_id: str) -> str:
    """What is known of it without a look into its stores."""
    _permitted(instance_id)
    listed = listing.look(current.services().tenant, instance_id)
    if listed is None:  # it went a moment ago
        raise _unknown()
    return _page(listed)


@blueprint.get("/instances/<string:instance_id>/delete")
def preview_deletion(instance_id: str) -> str | AnyResponse:
    """What would go, and the form that orders it; an instance that is being deleted has its deletion's page."""
    _permitted(instance_id)
    deletion = _unfinished([instance_id]).get(instance_id)
    if deletion and not deletion_view.is_whole(deletion):
        return _to(deletion.id)
    instance = orders.find(Action.PREVIEW, instance_id=instance_id)
    planned = pipeline.preview(Target(current.services(), instance.id, instance.name))
    return render_template(
        "preview.html",
        instance=instance,
        planned=planned,
        expected=to_type(instance),
        token=confirmation.token_for(instance, planned),
        demanded=current.services().settings.confirmation,
    )


@blueprint.post("/instances/<string:instance_id>/delete")
def order_deletion(instance_id: str) -> AnyResponse:
    """Accept the deletion if the name was typed exactly."""
    instance = _permitted(instance_id)
    if request.form.get("typed") != to_type(instance):
        return _ask_again(instance)
    confirmation.came_with(request.form.get("confirmation_token"), request.form.get("confirmation_code"))
    return _to(orders.submit_by_id(instance_id))


@blueprint.post("/instances/<string:instance_id>/logout")
def log_out(instance_id: str) -> AnyResponse:
    """End the instance's WhatsApp session, and nothing else."""
    _permitted(instance_id)
    orders.log_out(orders.find(Action.LOGOUT, instance_id=instance_id))
    flash("Logged out. Nothing else was touched.")
    return redirect(url_for("console.instances.show_instance", instance_id=instance_id), 303)


def to_type(instance: Instance) -> str:
    """What has to be typed: the name, or the id where nobody could type the name."""
    return text_to_type(instance.id, instance.name)


def _ask_again(instance: Instance) -> AnyResponse:
    """The same form once more, with the token of what was looked at; a one-time code is typed anew."""
    g.error = BadRequest("What was typed is not exactly the instance's name")
    asked = render_template(
        "mistyped.html",
        instance=instance,
        expected=to_type(instance),
        token=request.form.get("confirmation_token", ""),
        demanded=current.services().settings.confirmation,
    )
    return make_response(asked, g.error.status)


def _to(deletion_id: UUID) -> AnyResponse:
    return redirect(url_for("console.deletions.show_deletion", deletion_id=deletion_id), 303)


def _page(listed: Listed) -> str:
    return render_template("instance.html", instance=listed, deletion=_unfinished([listed.id]).get(listed.id))


def _permitted(instance_id: str) -> Instance:
    """The instance, if the caller may know of it."""
    instance = current.services().tenant.find(instance_id=instance_id)
    auditing.about(instance.id if instance else None, None)
    if not auth.may_touch(instance):
        raise Unauthorized
    if instance is None:
        raise _unknown()
    return instance


def _unknown() -> NotFound:
    return NotFound("There is no such instance")


def _unfinished(instance_ids: Collection[str]) -> dict[str, Deletion]:
    """The deletions of these instances that have not ended, by instance."""
    query = select(Deletion).where(Deletion.instance_id.in_(instance_ids), Deletion.status.not_in(ENDED))
    with translate_errors("the own database"), Session(current.services().own, expire_on_commit=False) as session:
        return {deletion.instance_id: deletion for deletion in session.scalars(query)}
