"""What all pages of the console have in common: who may see them, headers, and what is said when it goes wrong."""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from api.console import audit, deletions, gateways, instances, session, sign_in, wording
from api.request import auth, current
from api.request.errors import ApiError, Unconfirmed, explain_invalid
from shared import logs
from shared.access.permissions import Permission
from shared.errors import Refused
from shared.evolution.rows import listing
from shared.settings import ConfirmationMode

log = logs.get(__name__)
blueprint = Blueprint(
    "console", __name__, url_prefix="/console", template_folder="templates", static_folder="static", cli_group=None
)
for pages in (sign_in, instances, deletions, gateways, audit):
    blueprint.register_blueprint(pages.blueprint)

OPEN = frozenset({"console.static", "console.sign_in.ask", "console.sign_in.sign_in", "console.sign_in.sign_out"})
_SHOWN_BY = {
    "console.instances.order_deletion": "console.instances.preview_deletion",
    "console.giving_up.give_up": "console.giving_up.ask",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # forms over HTTPS are checked by it
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",  # files have their own
}


@blueprint.before_request
def admit() -> AnyResponse | None:
    """Know the caller by the session, as it is now; who is not signed in is asked to."""
    if request.endpoint not in OPEN:
        caller = session.holder()
        if caller is None:
            return redirect(url_for("console.sign_in.ask"), 303)
        auth.admit(caller)
    session.check_form()
    if not _is_by_itself():
        session.extend()
    return None


def _is_by_itself() -> bool:
    """Whether a page has asked for this, and nobody clicked."""
    return request.endpoint in OPEN | {"console.deletions.show_progress"} or "auto" in request.args


@blueprint.after_request
def add_headers(response: Response) -> Response:
    """Nothing from elsewhere, nothing inline, in nobody's frame; pages are kept nowhere."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@blueprint.context_processor
def what_pages_know() -> dict[str, Any]:
    """The caller, None on the way in, and what it may do."""
    return {
        "caller": auth.known_principal(),
        "may": lambda word: auth.may(Permission(word)),
        "many": listing.MANY,
    }


@blueprint.app_template_filter("moment")
def show_moment(moment: str | datetime | None) -> str:
    """A time, as everybody everywhere reads it."""
    read = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{read:%Y-%m-%d %H:%M:%S} UTC" if read else "–"


@blueprint.app_template_filter("number")
def show_number(number: float) -> str:
    """A number that can be read at a glance."""
    return f"{number:,.0f}"


@blueprint.app_template_filter("duration")
def show_duration(seconds: float) -> str:
    """About how long, in the largest unit that says enough."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"


blueprint.add_app_template_filter(wording.did, "did")
blueprint.add_app_template_filter(wording.planned, "planned")
blueprint.add_app_template_filter(wording.found, "found")
blueprint.add_app_template_filter(wording.told, "told")
blueprint.add_app_template_filter(wording.outcome, "outcome")


@blueprint.errorhandler(ApiError)
def on_api_error(error: ApiError) -> Response:
    """What the API would have said."""
    return _page(error, error.message, error.status, error.headers, error.extra.get("deletionId"))


@blueprint.errorhandler(Unconfirmed)
def on_unconfirmed(error: ApiError) -> Response:
    """What the API says of tokens is for programs: here the preview has one."""
    if current.services().settings.confirmation is not ConfirmationMode.TOKEN:
        return on_api_error(error)
    return _page(error, f"{error.message.partition(':')[0]}. Load the preview again, and confirm that.", error.status)


@blueprint.errorhandler(HTTPException)
def on_http_error(error: HTTPException) -> Response:
    """What Flask refuses by itself."""
    return _page(error, error.name, error.code or 500)


@blueprint.errorhandler(CSRFError)
def on_foreign_form(error: CSRFError) -> Response:
    """A form that no page of this session has shown, or not any more."""
    return _page(error, "This form is too old. Go back, load the page again and repeat what you did.", 400)


@blueprint.errorhandler(ValidationError)
def on_invalid(error: ValidationError) -> Response:
    """A filter that does not fit."""
    return _page(error, explain_invalid(error), 400)


@blueprint.errorhandler(Refused)
def on_refusal(error: Refused) -> Response:
    """The deployment is in a state in which erasing would not be safe."""
    return _page(error, error.title, 400)


@blueprint.errorhandler(Exception)
def on_any_error(error: Exception) -> Response:
    """A database or Redis is away, or a fault of ours."""
    log.error("request failed", exc_info=error)
    return _page(error, "Something that Lethe needs does not answer. Look again in a moment.", 500)


def _page(
    error: Exception, message: str, status: int, headers: dict[str, str] | None = None, deletion_id: str | None = None
) -> Response:
    g.error = error
    response = make_response(
        render_template("error.html", message=message, deletion_id=deletion_id, back=_before()), status
    )
    response.headers.extend({name: value for name, value in (headers or {}).items() if name != "Location"})
    return response


def _before() -> str | None:
    """The page whose form was not confirmed, or not well enough: it is sent once more from there."""
    shown = _SHOWN_BY.get(request.endpoint or "") if isinstance(g.error, Unconfirmed) else None
    return url_for(shown, **(request.view_args or {})) if shown else None
