"""Cross-Origin Resource Sharing (CORS): which other web pages may call the API, with a key in the apikey header."""

from flask import Flask, Response, current_app, request

from shared.settings import Settings

# Not the console, whose cookie no other page may use; never with credentials.
_BLUEPRINTS = frozenset({"instances", "deletions", "audit", "receipts"})
_METHODS = ("DELETE", "GET", "POST")
_HEADERS = ("apikey", "content-type", "prefer", "x-confirmation-token", "x-confirmation-code")
_EXPOSED = (
    "Location", "Preference-Applied", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After",
    "X-Request-Id",
)  # fmt: skip
_MAX_AGE_SECONDS = 600


def register(app: Flask, settings: Settings) -> None:
    """Answer the browsers that ask for one of these origins; without origins, do nothing."""
    if not settings.cors_origins:
        return
    app.config["LETHE_CORS_ORIGINS"] = frozenset(settings.cors_origins)
    app.before_request(_answer_preflight)
    app.after_request(_add_headers)


def _answer_preflight() -> Response | None:
    """A preflight carries no key: it is answered before the key is checked, and says nothing of any instance."""
    asked = request.headers.get("Access-Control-Request-Method")
    if request.method != "OPTIONS" or asked is None or not _is_allowed():
        return None
    routes = current_app.create_url_adapter(request)
    allowed = set(routes.allowed_methods() if routes else ()).intersection(_METHODS)
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = ", ".join(sorted(allowed))
    response.headers["Access-Control-Allow-Headers"] = ", ".join(_HEADERS)
    response.headers["Access-Control-Max-Age"] = str(_MAX_AGE_SECONDS)
    return response


def _add_headers(response: Response) -> Response:
    if request.blueprint in _BLUEPRINTS:
        response.vary.add("Origin")
        if _is_allowed():
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = ", ".join(_EXPOSED)
    return response


def _is_allowed() -> bool:
    return (
        request.blueprint in _BLUEPRINTS and request.headers.get("Origin") in current_app.config["LETHE_CORS_ORIGINS"]
    )
