"""The endpoint of the audit."""

from flask import Response

from api.openapi import examples, responses
from api.openapi.audit_schemas import AuditFilter, AuditLineView, AuditPage
from api.openapi.blueprints import protected_blueprint
from api.request import auditing, auth, resources
from api.request.errors import Unauthorized, json_response
from shared.audit import reads as audit_reads
from shared.audit import search as audit_search
from shared.audit.search import Filters

blueprint = protected_blueprint(
    "audit", __name__, "All requests that change or read something, accepted or refused, and their results"
)


@blueprint.get(
    "/audit",
    summary="Read the audit",
    responses={200: responses.response(AuditPage, "One page of lines, newest first", page=examples.AUDIT)},
)
def list_lines(query: AuditFilter) -> Response:
    """Newest first, one page at a time; for admins and auditors that may see all instances."""
    return json_response(find_page(query).model_dump(mode="json", by_alias=True))


def find_page(query: AuditFilter) -> AuditPage:
    """One page of lines; raises Unauthorized for a caller that is limited to some instances."""
    if not auth.principal().sees_all:
        raise Unauthorized
    page = audit_search.search(resources.services().own, Filters(**query.model_dump()))
    audit_reads.record_audit_read(resources.services().own, auditing.actor())
    return AuditPage(lines=[AuditLineView.model_validate(line) for line in page.lines], next=page.next)
