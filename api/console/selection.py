"""The console's pages of several instances: the preview of a selection, the order, and the progress of all."""

from collections.abc import Sequence
from uuid import UUID

from flask import Blueprint, flash, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from api import bulk, deletions
from api.console import deletion_view
from api.request import auth, confirmation, resources
from api.request.errors import BadRequest, NotFound, Unauthorized
from shared.database.models import UNDER_WAY, DeletionStatus
from shared.translations.texts import _
from tasks.orders import bulk as orders
from tasks.orders import bulk_list, bulk_preview
from tasks.orders.bulk_list import Meant, Outcome

blueprint = Blueprint("selection", __name__)


@blueprint.post("/selection")
def preview_deletions() -> AnyResponse:
    """What would be removed, in sums, and the form; the instances that were selected on all pages of the list."""
    return _preview() if _chosen() else _back_to_list()


@blueprint.post("/selection/delete")
def order_deletions() -> AnyResponse:
    """Accept the deletions if the number of the instances was typed."""
    services, caller = resources.services(), bulk.caller(request.form.get("digest", ""))
    meant = bulk_list.look(services, caller, instance_ids=_chosen())
    if request.form.get("typed") != str(len(_found(meant))):
        return _preview(mistyped=True)
    confirmation.read_from_form()
    ordered = orders.submit(services, caller, meant)
    others = [each for each in ordered.results if each.outcome is not Outcome.ACCEPTED]
    if ordered.bulk_id is not None and not others:
        return redirect(url_for("console.selection.show_progress_of_all", bulk_id=ordered.bulk_id), 303)
    names = {each.called: each.name for each in meant}
    shown = render_template(
        "ordered.html", bulk_id=ordered.bulk_id, results=ordered.results, others=others, names=names
    )
    return make_response(shown)


@blueprint.get("/orders/<uuid:bulk_id>")
def show_progress_of_all(bulk_id: UUID) -> str:
    """How many of the order's deletions have which status; the script updates the page, or a reload does."""
    return render_template("progress_of_all.html", **_context(bulk_id))


@blueprint.get("/orders/<uuid:bulk_id>/progress")
def show_progress(bulk_id: UUID) -> str:
    """The part of the page that the script replaces."""
    return render_template("_progress_of_all.html", **_context(bulk_id))


def _preview(*, mistyped: bool = False) -> AnyResponse:
    services, caller = resources.services(), bulk.caller(None)
    meant = bulk_list.look(services, caller, instance_ids=_chosen())
    found, digest = bulk_preview.preview(services, caller, meant), bulk_list.digest_of(meant)
    page = render_template(
        "selection.html",
        instances=_found(meant),
        others=[each for each in (each.result for each in meant) if each.outcome is not Outcome.FOUND],
        names={each.called: each.name for each in meant},
        refused=found.refused,
        planned=found.planned,
        not_counted=found.not_counted,
        coverage={},
        chosen=_chosen(),
        digest=digest,
        expected=str(len(_found(meant))),
        token=confirmation.token_of_list(digest),
        required=services.settings.confirmation,
        grace_seconds=services.settings.grace_seconds,
        mistyped=mistyped,
    )
    if not mistyped:
        return make_response(page)
    g.error = BadRequest("What was typed is not the number of the instances")
    return make_response(page, g.error.code)


def _chosen() -> list[str]:
    """The ids that the form carries, each once."""
    ids = list(dict.fromkeys(request.form.getlist("chosen")))
    if len(ids) > bulk_list.MOST:
        raise BadRequest(f"At most {bulk_list.MOST:,} instances at once")
    return ids


def _found(meant: Sequence[Meant]) -> list[Meant]:
    return [each for each in meant if each.result.outcome is Outcome.FOUND]


def _back_to_list() -> AnyResponse:
    flash(_("Select instances first."))
    return redirect(url_for("console.instances.list_instances"), 303)


def _context(bulk_id: UUID) -> dict[str, object]:
    counts = deletions.count_by_status(bulk_id)
    if not counts:  # a caller that is limited to some instances does not learn whether it exists
        raise NotFound("There is no such order") if auth.principal().sees_all else Unauthorized
    total = sum(counts.values())
    return {
        "bulk_id": bulk_id,
        "counts": counts,
        "total": total,
        "ended": total - sum(counts.get(status, 0) for status in (DeletionStatus.SCHEDULED, *UNDER_WAY)),
        "under_way": any(status in counts for status in (DeletionStatus.SCHEDULED, *UNDER_WAY)),
        "stopped": any(status in counts for status in deletion_view.STOPPED),
    }
