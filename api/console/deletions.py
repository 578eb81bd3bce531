"""Deletions: which there are, how far each one is, and what can be done about it."""

from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from api import deletions, receipts
from api.console import deletion_view, filters
from api.openapi.schemas import Filter, Retry
from api.request import current
from shared.database.models import UNDER_WAY, Deletion, DeletionStatus

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


def _seen(deletion_id: UUID) -> dict[str, object]:
    deletion = deletions.permitted(deletion_id)
    can_retry = deletion_view.can_retry(deletion)
    return {
        "deletion": deletions.shown(deletion),
        "asked": deletion_view.asked(deletion),
        "waiting_since": deletion.waiting_since if deletion.status in deletion_view.STOPPED else None,
        "gives_up_at": deletion_view.gives_up_at(deletion),
        "failures": deletion.failures,
        "max_failures": current.services().settings.max_failures,
        "under_way": deletion.status in UNDER_WAY,
        "can_retry": can_retry,
        "must_confirm": deletion_view.must_be_confirmed(deletion),
        "can_cancel": deletion_view.can_cancel(deletion),
        "to_give_up": _to_give_up(deletion) if can_retry and deletion_view.may_give_up() else [],
    }


def _to_give_up(deletion: Deletion) -> list[tuple[int, str]]:
    """The gateways that may be what it waits for: those that it names, else all."""
    counted_on = list(deletion_view.counted_on(deletion))
    return [(number, url) for number, url in counted_on if url in (deletion.reason or "")] or counted_on


def _back_to(deletion_id: UUID) -> AnyResponse:
    return redirect(url_for("console.deletions.show_deletion", deletion_id=deletion_id), 303)
