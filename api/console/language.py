"""The language of the console: the one that was chosen on a page, else the first of the browser's that is known."""

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from shared.translations import language

_COOKIE = "lethe_language"
_YEAR_SECONDS = 365 * 24 * 3600

blueprint = Blueprint("language", __name__)


def use_the_readers() -> None:
    """Choose the language of this request."""
    chosen = request.cookies.get(_COOKIE)
    if chosen not in language.LANGUAGES:
        accepted = (code for code, quality in request.accept_languages if quality > 0)  # the most wanted first
        chosen = language.first_known(accepted) or language.ENGLISH
    language.use(chosen)


def forget() -> None:
    """The next request of this thread may be one of the API, which is in English."""
    language.use(language.ENGLISH)


def page_to_return_to() -> str:
    """This page, if it can be read again."""
    return request.full_path.rstrip("?") if request.method == "GET" and request.endpoint else ""


@blueprint.get("/language")
def choose() -> AnyResponse:
    """Remember the language in a cookie, and show the page again. A link: it needs no session, and changes none."""
    page = request.args.get("page", "")
    if not page.startswith("/console/") or page.startswith("/console//") or "\\" in page:
        page = url_for("console.instances.list_instances")
    answer = redirect(page, 303)
    chosen = request.args.get("language", "")
    if chosen in language.LANGUAGES:
        answer.set_cookie(
            _COOKIE,
            chosen,
            max_age=_YEAR_SECONDS,
            path="/console",
            secure=request.is_secure,
            httponly=True,
            samesite="Strict",
        )
    return answer
