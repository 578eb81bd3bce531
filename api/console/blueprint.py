"""What all pages of the console share: sign-in, headers, template filters and error pages."""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from werkzeug.wrappers import Response as AnyResponse

from api.console import audit, deletions, gateways, instances, session, sign_in, wording
from api.request import auth, resources
from api.request.errors import Unconfirmed, as_api_error
from shared.access.permissions import Permission
from shared.evolution.rows import listing
from shared.settings import ConfirmationMode

blueprint = Blueprint(
    "console", __name__, url_prefix="/console", template_folder="templates", static_folder="static", cli_group=None
)
for pages in (sign_in, instances, deletions, gateways, audit):
    blueprint.register_blueprint(pages.blueprint)

OPEN = frozenset({"console.static", "console.sign_in.show_form", "console.sign_in.sign_in", "console.sign_in.sign_out"})
_PAGES_OF_FORMS = {
    "console.instances.order_deletion": "console.instances.preview_deletion",
    "console.gateways.give_up": "console.gateways.show_form",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # the CSRF check over HTTPS needs the referrer
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",  # static files have their own
}


@blueprint.before_request
def admit() -> AnyResponse | None:
    """Find the caller by the session and check its permission; redirects to the sign-in page without a session."""
    if request.endpoint not in OPEN:
        caller = session.principal()
        if caller is None:
            return redirect(url_for("console.sign_in.show_form"), 303)
        auth.authorize(caller)
    session.check_form()
    if not _is_automatic():
        session.extend()
    return None


def _is_automatic() -> bool:
    """Whether a page sent this request by itself, without a click."""
    return request.endpoint in OPEN | {"console.deletions.show_progress"} or "auto" in request.args


@blueprint.after_request
def add_headers(response: Response) -> Response:
    """Forbid external files, inline scripts, frames and caching."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@blueprint.context_processor
def add_to_context() -> dict[str, Any]:
    """For all templates: the caller (None before the sign-in) and its permissions."""
    return {
        "caller": auth.principal_or_none(),
        "may": lambda word: auth.has_permission(Permission(word)),
        "many": listing.MANY,
    }


@blueprint.app_template_filter("moment")
def show_moment(moment: str | datetime | None) -> str:
    """A time in UTC; a dash for None."""
    read = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{read:%Y-%m-%d %H:%M:%S} UTC" if read else "–"


@blueprint.app_template_filter("number")
def show_number(number: float) -> str:
    """A number with thousands separators, without decimals."""
    return f"{number:,.0f}"


@blueprint.app_template_filter("duration")
def show_duration(seconds: float) -> str:
    """A duration in its largest useful unit."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"


blueprint.add_app_template_filter(wording.did, "did")
blueprint.add_app_template_filter(wording.planned, "planned")
blueprint.add_app_template_filter(wording.found, "found")
blueprint.add_app_template_filter(wording.told, "told")
blueprint.add_app_template_filter(wording.outcome, "outcome")


@blueprint.errorhandler(Exception)
def show_error(error: Exception) -> Response:
    """A page with the message of the API's error, or with what a person can do about it."""
    g.error = error
    shown = as_api_error(error)
    page = render_template(
        "error.html",
        message=_advice(error, shown.status) or shown.message,
        deletion_id=shown.extra.get("deletionId"),
        back=_page_of_form(error),
    )
    response = make_response(page, shown.status)
    response.headers.extend({name: value for name, value in shown.headers.items() if name != "Location"})
    return response


def _advice(error: Exception, status: int) -> str | None:
    if isinstance(error, CSRFError):
        return "This form is too old. Go back, load the page again and repeat what you did."
    if isinstance(error, Unconfirmed) and resources.services().settings.confirmation is ConfirmationMode.TOKEN:
        return f"{error.message.partition(':')[0]}. Load the preview again, and confirm that."  # it has a new token
    if status == 500:
        return "Something that Lethe needs does not answer. Look again in a moment."
    return None


def _page_of_form(error: Exception) -> str | None:
    """The page of a form whose confirmation was missing or wrong, to send the form again."""
    page = _PAGES_OF_FORMS.get(request.endpoint or "") if isinstance(error, Unconfirmed) else None
    return url_for(page, **(request.view_args or {})) if page else None
