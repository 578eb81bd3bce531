"""The console's pages of evidence: attest that an erased instance is still gone."""

from uuid import UUID

from flask import Blueprint, Response
from werkzeug.wrappers import Response as AnyResponse

from api import evidence
from api.console import deletion_view

blueprint = Blueprint("evidence", __name__, url_prefix="/deletions/<uuid:deletion_id>")


@blueprint.post("/attestation")
def attest(deletion_id: UUID) -> AnyResponse:
    """Look into every store now; the deletion's page then shows what was found."""
    evidence.make(deletion_id)
    return deletion_view.redirect_to(deletion_id)


@blueprint.get("/attestation")
def show_attestation(deletion_id: UUID) -> Response:
    """The newest attestation, as it was signed."""
    return evidence.show(deletion_id)


@blueprint.get("/evidence")
def save_bundle(deletion_id: UUID) -> Response:
    """One zip file with all that proves the deletion."""
    return evidence.save(deletion_id)
