"""The console's pages of deletions: the list, one deletion and its progress, resume, run now, cancel, receipt."""

from uuid import UUID

from flask import Blueprint, Response, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from api import deletions, receipts
from api.console import deletion_view
from api.openapi.schemas import Filter, Retry
from api.request import pages, resources
from shared.database.models import Deletion, DeletionStatus

blueprint = Blueprint("deletions", __name__, url_prefix="/deletions")


@blueprint.get("")
def list_deletions() -> str:
    """Newest first, one page at a time."""
    given = pages.filled_in(Filter)
    page, following = deletions.find_page(Filter.model_validate(given))
    shown = [deletions.as_json(deletion) for deletion in page]
    return render_template(
        "deletions.html", deletions=shown, following=following, given=given, statuses=list(DeletionStatus)
    )


@blueprint.get("/<uuid:deletion_id>")
def show_deletion(deletion_id: UUID) -> str:
    """Each step with its counts; the script updates the page, or a reload does."""
    return render_template("deletion.html", **_context(deletion_id))


@blueprint.get("/<uuid:deletion_id>/progress")
def show_progress(deletion_id: UUID) -> str:
    """The part of the page that the script replaces."""
    return render_template("_progress.html", **_context(deletion_id))


@blueprint.post("/<uuid:deletion_id>/retry")
def retry_deletion(deletion_id: UUID) -> AnyResponse:
    """Resume a failed or waiting deletion at once."""
    deletions.retry(deletion_id, Retry.model_validate({}))
    return deletion_view.redirect_to(deletion_id)


@blueprint.post("/<uuid:deletion_id>/run-now")
def run_deletion_now(deletion_id: UUID) -> AnyResponse:
    """Begin a scheduled deletion now."""
    deletions.run_now(deletion_id)
    return deletion_view.redirect_to(deletion_id)


@blueprint.post("/<uuid:deletion_id>/cancel")
def cancel_deletion(deletion_id: UUID) -> AnyResponse:
    """Cancel a deletion that has not begun."""
    deletions.cancel(deletion_id)
    return deletion_view.redirect_to(deletion_id)


@blueprint.get("/<uuid:deletion_id>/receipt")
def show_receipt(deletion_id: UUID) -> Response:
    """As a page to print, or with format=json as it was signed."""
    form = request.args.get("format")
    return receipts.show(deletion_id, "json" if form == "json" else "stamp" if form == "stamp" else "html")


def _context(deletion_id: UUID) -> dict[str, object]:
    deletion = deletions.find_permitted(deletion_id)
    can_retry = deletion_view.can_retry(deletion)
    return {
        "deletion": deletions.as_json(deletion),
        "requested_by": deletion_view.requested_by(deletion),
        "confirmed": deletion_view.confirmed(deletion),
        "confirmed_at": deletion.confirmed_at,
        "waiting_since": deletion.waiting_since if deletion.status in deletion_view.STOPPED else None,
        "fails_at": deletion_view.fails_at(deletion),
        "failures": deletion.failures,
        "max_failures": resources.services().settings.max_failures,
        "under_way": deletion_view.changes_soon(deletion),
        "can_retry": can_retry,
        "must_confirm": deletion_view.needs_confirmation(deletion),
        "can_run_now": deletion_view.can_run_now(deletion),
        "can_cancel": deletion_view.can_cancel(deletion),
        "attested": deletion_view.attested(deletion),
        "to_give_up": _to_give_up(deletion) if can_retry and deletion_view.may_give_up_gateways() else [],
    }


def _to_give_up(deletion: Deletion) -> list[tuple[int, str]]:
    """The gateways that it may wait for: those that its reason names, else all."""
    remaining = list(deletion_view.remaining_gateways(deletion))
    return [(number, url) for number, url in remaining if url in (deletion.reason or "")] or remaining
