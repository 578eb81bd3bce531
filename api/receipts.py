"""The receipt of a deletion, for whoever may prove it."""

from typing import Literal
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from api import auth, current, deletions
from api.errors import Conflict, NotFound
from api.schemas import ById, Error, SignedReceipt
from shared import receipt, receipt_page
from shared.models import Deletion, DeletionStatus

blueprint = APIBlueprint(
    "receipts",
    __name__,
    abp_tags=[Tag(name="receipts", description="The signed proof of a deletion")],
    abp_security=[{"apikey": []}],
    abp_responses={400: Error, 401: Error, 404: Error, 409: Error, 500: Error},
)
blueprint.before_request(auth.authenticate)


class Form(BaseModel):
    """How to show it."""

    format: Literal["json", "html"] = Field("json", description="json, as it was signed, or html, to print")


@blueprint.get("/deletions/<uuid:deletion_id>/receipt", summary="Prove a deletion", responses={200: SignedReceipt})
def show_receipt(path: ById, query: Form) -> Response:
    """The receipt, signed with a key of /.well-known/lethe-keys.json; from the deletion's success on."""
    return show(path.deletion_id, query.format)


def show(deletion_id: UUID, form: Literal["json", "html"]) -> Response:
    """The receipt of a deletion that the caller may see."""
    document = _document(deletions.permitted(deletion_id))
    if form == "html":
        page = receipt_page.render(document)
        return Response(page, headers=_page_headers(page), content_type="text/html; charset=utf-8")
    return Response(document, content_type="application/json; charset=utf-8")


def _page_headers(page: str) -> dict[str, str]:
    """The page needs its own style, word for word, and nothing else; who frames it or sniffs it gets nothing."""
    style = receipt_page.style_hash(page)
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src '{style}'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


def _document(deletion: Deletion) -> str:
    if deletion.status is not DeletionStatus.SUCCEEDED:
        raise Conflict(
            f"The deletion is {deletion.status.value}: a receipt proves success", deletionId=str(deletion.id)
        )
    document = receipt.load(current.services().own, deletion.id)
    if document is None:
        raise NotFound("The deletion succeeded before receipts were written")
    return document
