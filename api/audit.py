"""The audit over HTTP, for whoever has to look into who did what."""

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from api.openapi import examples, responses
from api.openapi.audit_schemas import AuditFilter, AuditLineView, AuditPage
from api.request import auditing, auth, current
from api.request.errors import Unauthorized, answer
from shared.audit import reads as audit_reads
from shared.audit import search as audit_search
from shared.audit.search import Filters

blueprint = APIBlueprint(
    "audit",
    __name__,
    abp_tags=[Tag(name="audit", description="Every attempt, also the refused ones, and how it ended")],
    abp_security=[{"apikey": []}],
    abp_responses=responses.errors(401),
    operation_id_callback=responses.operation_id,
)
blueprint.before_request(auth.authenticate)


@blueprint.get(
    "/audit",
    summary="Read the audit",
    responses={200: responses.told(AuditPage, "Some lines, newest first", page=examples.AUDIT)},
)
def list_lines(query: AuditFilter) -> Response:
    """Newest first, a page at a time; for admins and auditors of all instances."""
    return answer(find_page(query).model_dump(mode="json", by_alias=True))


def find_page(query: AuditFilter) -> AuditPage:
    """Some lines, for a caller to whom every instance may be shown."""
    if not auth.principal().sees_all:
        raise Unauthorized
    page = audit_search.search(current.services().own, Filters(**query.model_dump()))
    audit_reads.record_audit_read(current.services().own, auditing.actor())
    return AuditPage(lines=[AuditLineView.model_validate(line) for line in page.lines], next=page.next)
