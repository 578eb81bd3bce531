"""The Flask application; `gunicorn "api.app:create()"` serves it."""

from uuid import uuid4

import structlog
from flask import Response, request
from flask_openapi3 import Info, OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix

from api import audit, auditing, current, deletions, errors, instances, operations, receipts
from api.raw_target import RawTarget
from api.schemas import Error
from shared import logs, services, settings
from shared.services import Services

_LARGEST_BODY = 64 * 1024


def create(given: Services | None = None) -> OpenAPI:
    """An application on these services; without any, on those of the process's settings."""
    if given is None:
        logs.configure(settings.read())
    made = given or services.create(settings.read(), pool_size=10)
    app = OpenAPI(
        "lethe",
        info=Info(title="Lethe", version="0.1.0", description="Erases WhatsApp instances, completely and provably."),
        security_schemes={"apikey": {"type": "apiKey", "in": "header", "name": "apikey"}},
        validation_error_status=400,
        validation_error_model=Error,
        validation_error_callback=errors.on_invalid,
        doc_prefix="/docs",
        doc_url="/openapi.json",
    )
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_BODY
    app.url_map.merge_slashes = False
    current.attach(app, made)
    errors.register(app)
    auditing.register(app)
    for blueprint in (
        instances.blueprint,
        deletions.blueprint,
        audit.blueprint,
        receipts.blueprint,
        operations.blueprint,
    ):
        app.register_api(blueprint)
    app.before_request(_name_request)
    app.after_request(_show_request_id)
    app.wsgi_app = RawTarget(app.wsgi_app)  # type: ignore[method-assign]
    if made.settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=made.settings.trusted_proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]
    return app


def _name_request() -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=uuid4().hex, method=request.method)


def _show_request_id(response: Response) -> Response:
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    response.headers["X-Request-Id"] = request_id
    return response
