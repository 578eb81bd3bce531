"""Deletions: which there are, how far each one is, and what can be done about it."""

from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from api import auth, current, deletions, receipts
from api.console import filters
from api.schemas import Filter, Retry
from shared.confirmation import Demand
from shared.models import UNDER_WAY, Deletion, DeletionStatus
from shared.permissions import Permission

_STOPPED = (DeletionStatus.FAILED, DeletionStatus.WAITING)

blueprint = Blueprint("deletions", __name__, url_prefix="/deletions")


@blueprint.get("")
def list_deletions() -> str:
    """Newest first, a page at a time."""
    given = filters.given(Filter)
    page, following = deletions.find_page(Filter.model_validate(given))
    shown = [deletions.shown(deletion) for deletion in page]
    return render_template(
        "deletions.html", deletions=shown, following=following, given=given, statuses=list(DeletionStatus)
    )


@blueprint.get("/<uuid:deletion_id>")
def show_deletion(deletion_id: UUID) -> str:
    """Each step with its counts, kept up to date by the script, or by loading it anew."""
    return render_template("deletion.html", **_seen(deletion_id))


@blueprint.get("/<uuid:deletion_id>/progress")
def show_progress(deletion_id: UUID) -> str:
    """The part of the page that changes."""
    return render_template("_progress.html", **_seen(deletion_id))


@blueprint.post("/<uuid:deletion_id>/retry")
def retry_deletion(deletion_id: UUID) -> AnyResponse:
    """Let a stopped one go on at once."""
    deletions.retry(deletion_id, Retry.model_validate({}))
    return _back_to(deletion_id)


@blueprint.post("/<uuid:deletion_id>/cancel")
def cancel_deletion(deletion_id: UUID) -> AnyResponse:
    """Stop one that has not begun."""
    deletions.cancel(deletion_id)
    return _back_to(deletion_id)


@blueprint.get("/<uuid:deletion_id>/receipt")
def show_receipt(deletion_id: UUID) -> Response:
    """To print, or as it was signed."""
    return receipts.show(deletion_id, "json" if request.args.get("format") == "json" else "html")


def is_whole(deletion: Deletion) -> bool:
    """Whether it has failed and left its instance as it was: going on is confirmed as a new one is."""
    return deletion.status is DeletionStatus.FAILED and deletion.irrevocable_at is None


def _must_be_confirmed(deletion: Deletion) -> bool:
    services = current.services()
    if services.settings.confirmation is Demand.OFF or not is_whole(deletion):
        return False
    return services.tenant.find(instance_id=deletion.instance_id) is not None


def _seen(deletion_id: UUID) -> dict[str, object]:
    deletion = deletions.permitted(deletion_id)
    undo = auth.may_undo(deletion)
    untouched = all(step.attempts == 0 for step in deletion.steps)
    return {
        "deletion": deletions.shown(deletion),
        "under_way": deletion.status in UNDER_WAY,
        "can_retry": undo and auth.may(Permission.RETRY) and deletion.status in _STOPPED,
        "must_confirm": _must_be_confirmed(deletion),
        "can_cancel": undo and auth.may(Permission.CANCEL) and deletion.status in UNDER_WAY and untouched,
    }


def _back_to(deletion_id: UUID) -> AnyResponse:
    return redirect(url_for("console.deletions.show_deletion", deletion_id=deletion_id), 303)
