"""The endpoints of evidence: attest that an erased instance is still gone."""

from uuid import UUID

from flask import Response

from api import deletions
from api.openapi import examples, responses
from api.openapi.blueprints import protected_blueprint
from api.openapi.evidence_schemas import SignedAttestation
from api.openapi.schemas import ById
from api.request import auditing, auth, rate_limit, resources
from api.request.errors import BadRequest, Conflict, NotFound, Unavailable
from shared import logs
from shared.access.permissions import Permission
from shared.audit import reads as audit_reads
from shared.database.models import Deletion, DeletionStatus
from shared.errors import Refused, TransientError
from shared.evidence import attestation, bundle
from shared.evidence.audit_head import AuditIncomplete
from shared.receipts.receipt import ReceiptChanged
from shared.signing import InvalidDocument
from shared.translations.marks import N_
from tasks.orders import attest as attest_orders
from tasks.orders.attest import NoReceipt

log = logs.get(__name__)
_ZIP = "application/zip"
_NO_RECEIPT = "There is no receipt: the deletion succeeded before receipts were written, or it was removed"

blueprint = protected_blueprint("evidence", __name__, "What proves a deletion later, to others", 404, 409)


@blueprint.post(
    "/deletions/<uuid:deletion_id>/attestation",
    summary="Attest that it is still gone",
    responses={201: responses.response(SignedAttestation, "The signed statement", attestation=examples.ATTESTATION)},
)
def attest(path: ById) -> Response:
    """Look into every store now, by the instance's id, and sign what was found. Nothing is erased."""
    return _signed(make(path.deletion_id), 201)


@blueprint.get(
    "/deletions/<uuid:deletion_id>/attestation",
    summary="Show the newest attestation",
    responses={200: responses.response(SignedAttestation, "The signed statement", attestation=examples.ATTESTATION)},
)
def show_attestation(path: ById) -> Response:
    """The newest attestation, as it was signed."""
    return show(path.deletion_id)


@blueprint.get(
    "/deletions/<uuid:deletion_id>/evidence",
    summary="Save all evidence",
    responses={200: responses.text_response(_ZIP, "All evidence in a zip file", "(zip)")},
)
def save_bundle(path: ById) -> Response:
    """One zip file: receipt, time stamps, newest attestation, lines of the audit, public keys, and a page."""
    return save(path.deletion_id)


def make(deletion_id: UUID) -> str:
    """Attest; returns the signed document.

    Raises Conflict before the success, LimitReached, and Unavailable for a store or a gateway without an answer.
    """
    deletion, services = deletions.find_permitted(deletion_id), resources.services()
    ensure_succeeded(deletion)
    erased = attest_orders.find(services.own, deletion_id)
    if not erased:
        raise NotFound(_NO_RECEIPT)
    rate_limit.count("attestation")
    try:
        (made,) = attest_orders.attest(services, auditing.actor(), erased)
    except NoReceipt:
        raise NotFound(_NO_RECEIPT) from None
    except ReceiptChanged as error:
        raise changed(deletion_id, error.title) from error
    except TransientError as error:
        log.warning("not attested", deletion_id=str(deletion_id), reason=error.title)
        # The reason may have the address of a gateway.
        why = error.title if auth.principal().sees_all else N_("a store or a gateway does not answer")
        raise Unavailable(f"Nothing was attested: {why}") from error
    except Refused as error:
        if auth.principal().sees_all:
            raise
        log.warning("not attested", deletion_id=str(deletion_id), reason=error.title)
        raise BadRequest("Nothing was attested: a store or a gateway refuses") from error
    return made.document


def show(deletion_id: UUID) -> Response:
    """The newest attestation, if the caller may see the deletion."""
    deletion = deletions.find_permitted(deletion_id)
    ensure_succeeded(deletion)
    document = newest(deletion)
    if document is None:
        raise NotFound("It was not attested yet")
    audit_reads.record_attestation_read(resources.services().own, auditing.actor(), deletion.instance_id, deletion_id)
    return _signed(document, 200)


def save(deletion_id: UUID) -> Response:
    """The bundle, if the caller may see the deletion; lines of callers only for who may read the audit."""
    deletion, services = deletions.find_permitted(deletion_id), resources.services()
    ensure_succeeded(deletion)
    rate_limit.count("bundle")
    audit_reads.record_evidence_read(services.own, auditing.actor(), deletion.instance_id, deletion_id)
    with_callers = auth.principal().sees_all and auth.has_permission(Permission.AUDIT)
    try:
        content = bundle.compose(services.own, services.settings, deletion_id, with_callers=with_callers)
    except bundle.NoReceipt:
        raise NotFound(_NO_RECEIPT) from None
    except (ReceiptChanged, InvalidDocument, bundle.AuditChanged, AuditIncomplete) as error:
        raise changed(deletion_id, error.title) from error
    headers = {"Content-Disposition": f'attachment; filename="evidence-{deletion_id}.zip"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, content_type=_ZIP)


def newest(deletion: Deletion) -> str | None:
    """The newest attestation; raises Conflict when it was changed."""
    try:
        found = attestation.newest(resources.services().own, deletion.id)
    except InvalidDocument as error:
        raise changed(deletion.id, f"The stored attestation is not what was signed: {error.title}") from error
    return found[1] if found else None


def ensure_succeeded(deletion: Deletion) -> None:
    """Raise Conflict unless the deletion has succeeded."""
    if deletion.status is not DeletionStatus.SUCCEEDED:
        raise Conflict(
            f"The deletion is {deletion.status.value}: only a success can be attested", deletionId=str(deletion.id)
        )


def changed(deletion_id: UUID, why: str) -> Conflict:
    """The error for a stored document that is not what was signed."""
    log.error("evidence was changed", deletion_id=str(deletion_id), reason=why)
    return Conflict(why, deletionId=str(deletion_id))


def _signed(document: str, status: int) -> Response:
    return Response(document, status, content_type="application/json; charset=utf-8")
