"""The console's pages of instances: search, preview, and order a deletion by typing the name."""

from collections.abc import Collection

from flask import Blueprint, flash, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from api.console import deletion_view
from api.request import auditing, auth, confirmation, orders, resources
from api.request.errors import BadRequest, NotFound, Unauthorized
from shared.access.confirmation import text_to_type
from shared.audit.entries import Action
from shared.database.models import Deletion
from shared.evolution.rows import listing
from shared.evolution.rows.tenant import Instance
from shared.translations.texts import _
from tasks import pipeline
from tasks.context import Target
from tasks.orders import bulk_list

_PAGE = 25

blueprint = Blueprint("instances", __name__)


@blueprint.route("/", methods=["GET", "POST"])
def list_instances() -> str:
    """One page of the instances that the key may see. The search is a POST: URLs with names would be logged."""
    wanted, after = request.form.get("wanted", ""), request.form.get("after", "")
    found = listing.find_page(
        resources.services().tenant, wanted=wanted, names=auth.principal().instances, after=after, limit=_PAGE + 1
    )
    page = found[:_PAGE]
    following = page[-1].id if len(found) > _PAGE else None
    deletions = _unfinished([instance.id for instance in page])
    return render_template(
        "instances.html",
        instances=page,
        wanted=wanted,
        following=following,
        deletions=deletions,
        chosen=list(dict.fromkeys(request.form.getlist("chosen"))),
    )


@blueprint.get("/instances/<string:instance_id>")
def show_instance(instance_id: str) -> str:
    """Its id, connection and number of messages."""
    _permitted(instance_id)
    listed = listing.look(resources.services().tenant, instance_id)
    if listed is None:  # it was deleted a moment ago
        raise _unknown()
    return render_template("instance.html", instance=listed, deletion=_unfinished([listed.id]).get(listed.id))


@blueprint.get("/instances/<string:instance_id>/delete")
def preview_deletion(instance_id: str) -> str | AnyResponse:
    """What would be removed, and the form; redirects to the deletion when there is one already."""
    _permitted(instance_id)
    deletion = _unfinished([instance_id]).get(instance_id)
    if deletion and not deletion_view.left_instance_intact(deletion):
        return deletion_view.redirect_to(deletion.id)
    instance = orders.find(Action.PREVIEW, instance_id=instance_id)
    target = Target(resources.services(), instance.id, instance.name)
    planned = pipeline.preview(target)
    return render_template(
        "preview.html",
        instance=instance,
        planned=planned,
        grace_seconds=resources.services().settings.grace_seconds,
        coverage=pipeline.coverage_of(target),
        expected=_word_to_type(instance),
        token=confirmation.token_of_preview(instance, planned),
        required=resources.services().settings.confirmation,
        export=_export(),
    )


@blueprint.post("/instances/<string:instance_id>/delete")
def order_deletion(instance_id: str) -> AnyResponse:
    """Accept the deletion if the name was typed exactly."""
    instance = _permitted(instance_id)
    if request.form.get("typed") != _word_to_type(instance):
        return _ask_again(instance)
    confirmation.read_from_form()
    return deletion_view.redirect_to(orders.submit_by_id(instance_id, exports="export" in request.form))


@blueprint.post("/instances/<string:instance_id>/logout")
def log_out(instance_id: str) -> AnyResponse:
    """End the instance's WhatsApp session."""
    _permitted(instance_id)
    orders.log_out(orders.find(Action.LOGOUT, instance_id=instance_id))
    flash(_("Logged out. Nothing was deleted."))
    return redirect(url_for("console.instances.show_instance", instance_id=instance_id), 303)


def _export() -> str | None:
    """Whether deletions write an export: off, where one can be asked for, or required; None without a place for it."""
    settings = resources.services().settings
    return settings.export if settings.export_to else None


def _word_to_type(instance: Instance) -> str:
    return text_to_type(instance.id, instance.name)


def _ask_again(instance: Instance) -> AnyResponse:
    """The same form again with the same token; a one-time code has to be typed again."""
    g.error = BadRequest("What was typed is not exactly the instance's name")
    form = render_template(
        "mistyped.html",
        instance=instance,
        expected=_word_to_type(instance),
        token=request.form.get("confirmation_token", ""),
        required=resources.services().settings.confirmation,
        export=_export(),
    )
    return make_response(form, g.error.code)


def _permitted(instance_id: str) -> Instance:
    """The instance, if the caller may access it; raises Unauthorized or NotFound."""
    instance = resources.services().tenant.find(instance_id=instance_id)
    auditing.set_subject(instance.id if instance else None, None)
    if not auth.may_access(instance):
        raise Unauthorized
    if instance is None:
        raise _unknown()
    return instance


def _unknown() -> NotFound:
    return NotFound("There is no such instance")


def _unfinished(instance_ids: Collection[str]) -> dict[str, Deletion]:
    """The deletions of these instances that have not ended, by instance."""
    found = bulk_list.find_unfinished(resources.services(), Deletion.instance_id, instance_ids)
    return {deletion.instance_id: deletion for deletion in found}
