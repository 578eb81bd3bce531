"""The console's page of the audit."""

from flask import Blueprint, render_template

from api import audit
from api.openapi.audit_schemas import AuditFilter
from api.request import pages
from shared.audit.entries import Action, Decision

_TIMES = ("since", "until")
_PAGE = 25  # lines

blueprint = Blueprint("audit", __name__, url_prefix="/audit")


@blueprint.get("")
def list_lines() -> str:
    """Newest first, one page at a time."""
    given = pages.filled_in(AuditFilter)
    # A datetime field of a browser has no time zone: the page says UTC.
    zoned = {name: f"{text}Z" if name in _TIMES and text[-1:].isdigit() else text for name, text in given.items()}
    page = audit.find_page(AuditFilter.model_validate({"limit": _PAGE, **zoned}))
    later = given.pop("cursor", None) is not None
    return render_template(
        "audit.html", page=page, given=given, later=later, actions=list(Action), decisions=list(Decision)
    )
