"""The Flask application; `gunicorn "api.app:create()"` serves it."""

from contextlib import ExitStack
from uuid import uuid4

import structlog
from flask import Response, g, request
from flask_openapi3 import Info, OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix

from api import audit, deletions, evidence, instances, operations, receipts
from api.console import blueprint as console
from api.console import session
from api.guards import cors, json_bodies, loop_guard
from api.openapi import docs, responses
from api.openapi.schemas import Error
from api.request import auditing, errors, resources
from api.request.raw_target import RawTarget
from shared import logs, services, settings, tracing
from shared.services import Services
from shared.version import VERSION


def create(given: Services | None = None) -> OpenAPI:
    """The application with these services; by default, with services from the process's settings."""
    if given is None:
        logs.configure(settings.read())
    made = given or services.create(settings.read(), pool_size=10)
    app = OpenAPI(
        "lethe",
        info=Info(title="Lethe", version=VERSION, description=responses.DESCRIPTION),
        security_schemes=responses.SECURITY,
        validation_error_status=400,
        validation_error_model=Error,
        validation_error_callback=errors.respond,
        doc_ui=False,  # api.openapi.docs has a page of its own
        static_folder=None,
    )
    app.url_map.merge_slashes = False
    resources.attach(app, made)
    errors.register(app)
    auditing.register(app)
    for blueprint in (
        instances.blueprint,
        deletions.blueprint,
        audit.blueprint,
        receipts.blueprint,
        evidence.blueprint,
        operations.blueprint,
        docs.blueprint,
    ):
        app.register_api(blueprint)
    app.before_request(_name_request)
    loop_guard.register(app)
    cors.register(app, made.settings)
    json_bodies.register(app)
    session.register(app, made.settings)
    app.register_blueprint(console.blueprint)
    app.after_request(_add_headers)
    app.teardown_request(_end_span)
    app.wsgi_app = RawTarget(app.wsgi_app)  # type: ignore[method-assign]
    if proxies := made.settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=0)  # type: ignore[method-assign]
    responses.remove_null_defaults(app.api_doc)
    return app


def _name_request() -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=uuid4().hex, method=request.method)
    if deletion_id := (request.view_args or {}).get("deletion_id"):
        structlog.contextvars.bind_contextvars(deletion_id=str(deletion_id))
    g.span = ExitStack()
    rule = (
        request.url_rule.rule if request.url_rule else "unknown"
    )  # not the path: an instance name can be a phone number
    g.span.enter_context(tracing.span(f"{request.method} {rule}", dict(request.headers)))


def _end_span(_: BaseException | None) -> None:
    if span := g.pop("span", None):
        span.close()


def _add_headers(response: Response) -> Response:
    response.headers["X-Request-Id"] = structlog.contextvars.get_contextvars().get("request_id", "")
    response.headers.update(loop_guard.HEADERS)
    return response
