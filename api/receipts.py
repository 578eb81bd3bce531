"""The endpoint of receipts."""

from typing import Any, Literal
from uuid import UUID

from flask import Response
from pydantic import BaseModel, Field

from api import deletions
from api.openapi import examples, responses
from api.openapi.blueprints import protected_blueprint
from api.openapi.schemas import ById, Schema
from api.request import auditing, resources
from api.request.errors import Conflict, NotFound
from api.request.pages import page
from shared import logs
from shared.audit import reads as audit_reads
from shared.database.models import Deletion, DeletionStatus
from shared.receipts import page as receipt_page
from shared.receipts import receipt
from shared.receipts.receipt import ReceiptChanged
from shared.stamps import outbox as stamps
from shared.stamps.outbox import Subject

log = logs.get(__name__)
_STAMP = "application/timestamp-reply"
_IN_OTHER_FORMS = {
    "text/html": {"schema": {"type": "string"}, "example": "<!doctype html>"},
    _STAMP: {"schema": {"type": "string", "format": "binary"}, "example": "(DER)"},
}

blueprint = protected_blueprint("receipts", __name__, "The signed proof of a deletion", 404, 409)


class Form(BaseModel):
    """The format of the receipt."""

    format: Literal["json", "html", "stamp"] = Field(
        "json", description="json, as it was signed; html, to print; stamp, its time stamp (RFC 3161)"
    )


class SignedReceipt(Schema):
    """A receipt; signed is its canonical JSON (RFC 8785) without the signature."""

    receipt: dict[str, Any]
    algorithm: Literal["Ed25519"]
    key_id: str = Field(description="Thumbprint of the key, as in /.well-known/lethe-keys.json")
    signature: str = Field(description="Of 64 bytes, as base64url without padding")


@blueprint.get(
    "/deletions/<uuid:deletion_id>/receipt",
    summary="Prove a deletion",
    responses={200: responses.response(SignedReceipt, "The receipt", also=_IN_OTHER_FORMS, receipt=examples.RECEIPT)},
)
def show_receipt(path: ById, query: Form) -> Response:
    """The receipt, signed with a key of /.well-known/lethe-keys.json; from the deletion's success on."""
    return show(path.deletion_id, query.format)


def show(deletion_id: UUID, form: Literal["json", "html", "stamp"]) -> Response:
    """The receipt, if the caller may see its deletion; raises Conflict when it has not succeeded."""
    deletion = deletions.find_permitted(deletion_id)
    document = _document(deletion)
    audit_reads.record_receipt_read(resources.services().own, auditing.actor(), deletion.instance_id, deletion_id)
    if form == "html":
        html = receipt_page.render(document)
        return page(html, f"style-src '{receipt_page.style_hash(html)}'")
    if form == "stamp":
        return Response(_stamp(deletion), content_type=_STAMP)
    return Response(document, content_type="application/json; charset=utf-8")


def _stamp(deletion: Deletion) -> bytes:
    found = stamps.find(resources.services().own, Subject.RECEIPT, deletion.id)
    if found is None:
        raise NotFound("No time stamp was asked for: LETHE_TIMESTAMP_URL was not set")
    if found.token is None:
        raise NotFound("The time stamp is not there yet")
    return found.token


def _document(deletion: Deletion) -> str:
    if deletion.status is not DeletionStatus.SUCCEEDED:
        raise Conflict(
            f"The deletion is {deletion.status.value}: a receipt proves success", deletionId=str(deletion.id)
        )
    try:
        document = receipt.load(resources.services().own, deletion.id)
    except ReceiptChanged as error:
        log.error("receipt was changed", deletion_id=str(deletion.id), reason=error.title)
        raise Conflict(error.title, deletionId=str(deletion.id)) from error
    if document is None:
        raise NotFound("There is no receipt: the deletion succeeded before receipts were written, or it was removed")
    return document
