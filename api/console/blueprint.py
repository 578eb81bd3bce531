"""What all pages of the console share: sign-in, headers, template filters and error pages."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from flask_wtf.csrf import CSRFError
from werkzeug.wrappers import Response as AnyResponse

from api.console import audit, deletions, evidence, gateways, instances, language, selection, session, sign_in, wording
from api.request import auth, resources
from api.request.errors import Unconfirmed, as_api_error
from shared import formatting
from shared.access.permissions import Permission
from shared.deletions import display
from shared.evolution.rows import listing
from shared.settings import ConfirmationMode
from shared.translations import language as translations
from shared.translations import sentences, texts
from shared.translations.texts import _

blueprint = Blueprint(
    "console", __name__, url_prefix="/console", template_folder="templates", static_folder="static", cli_group=None
)
for pages in (sign_in, language, instances, selection, deletions, evidence, gateways, audit):
    blueprint.register_blueprint(pages.blueprint)

OPEN = frozenset(
    {
        "console.static",
        "console.sign_in.show_form",
        "console.sign_in.sign_in",
        "console.sign_in.sign_out",
        "console.language.choose",
    }
)
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
    language.use_the_readers()
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
    return (
        request.endpoint in OPEN | {"console.deletions.show_progress", "console.selection.show_progress"}
        or "auto" in request.args
    )


@blueprint.after_request
def add_headers(response: Response) -> Response:
    """Forbid external files, inline scripts, frames and caching."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@blueprint.record_once
def add_translations(state: BlueprintSetupState) -> None:
    """`_` and `trans` in the templates."""
    state.app.jinja_env.add_extension("jinja2.ext.i18n")
    install = state.app.jinja_env.install_gettext_callables  # type: ignore[attr-defined] # the extension adds it
    install(texts._, texts.ngettext, newstyle=True)


@blueprint.teardown_request
def forget_language(error: BaseException | None) -> None:  # noqa: ARG001 - Flask passes it
    """After the last page of the console in this request."""
    language.forget()


@blueprint.context_processor
def add_to_context() -> dict[str, Any]:
    """For all templates: the caller (None before the sign-in) and its permissions."""
    return {
        "caller": auth.principal_or_none(),
        "may": lambda word: auth.has_permission(Permission(word)),
        "many": listing.MANY,
        "language": translations.current(),
        "languages": translations.LANGUAGES,
        "this_page": language.page_to_return_to(),
    }


_FILTERS: dict[str, Callable[..., str]] = {
    "moment": formatting.utc_time,
    "duration": lambda seconds: formatting.duration(timedelta(seconds=seconds)),
    "number": formatting.number,
    "translated": sentences.translated,
    "label": wording.label,
    "amounts": wording.amounts,
    "removed": wording.removed,
    "webhook": lambda webhook: display.webhook(webhook["status"], webhook["tries"], webhook["error"]),
    "webhook_totals": wording.webhook_totals,
}
for _name, _filter in _FILTERS.items():
    blueprint.add_app_template_filter(_filter, _name)


@blueprint.errorhandler(Exception)
def show_error(error: Exception) -> Response:
    """A page with the message of the API's error, or with what a person can do about it."""
    g.error = error
    language.use_the_readers()  # also for what was refused before the console was asked
    shown = as_api_error(error)
    page = render_template(
        "error.html",
        message=_advice(error, shown.code) or sentences.translated(shown.message),
        deletion_id=shown.extra.get("deletionId"),
        back=_page_of_form(error),
    )
    response = make_response(page, shown.code)
    response.headers.extend({name: value for name, value in shown.headers.items() if name != "Location"})
    return response


def _advice(error: Exception, status: int) -> str | None:
    if isinstance(error, CSRFError):
        return _("This form is too old. Go back, load the page again and repeat what you did.")
    if isinstance(error, Unconfirmed) and resources.services().settings.confirmation is ConfirmationMode.TOKEN:
        why = sentences.translated(error.message).partition(":")[0]  # the rest is for callers of the API
        return _("{why}. Load the preview again, and confirm that.", why=why)  # it has a new token
    if status == 500:
        return _("Something that Lethe needs does not answer. Look again in a moment.")
    return None


def _page_of_form(error: Exception) -> str | None:
    """The page of a form whose confirmation was missing or wrong, to send the form again."""
    page = _PAGES_OF_FORMS.get(request.endpoint or "") if isinstance(error, Unconfirmed) else None
    return url_for(page, **(request.view_args or {})) if page else None
