"""The OpenAPI document at /openapi.json, and Swagger UI at /docs, served without external files."""

from pathlib import Path

import flask_openapi3_swagger
from flask import Response, current_app, send_from_directory
from flask_openapi3 import OpenAPI
from pydantic import BaseModel, Field

from api.openapi import responses
from api.openapi.blueprints import open_blueprint
from api.request.errors import json_response
from api.request.pages import page

_SWAGGER = Path(flask_openapi3_swagger.__file__).parent / "templates" / "swagger"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lethe: the API</title>
<link rel="icon" href="/docs/images/swagger.svg">
<link rel="stylesheet" href="/docs/css/swagger-ui.css">
</head>
<body>
<main id="swagger-ui"></main>
<script src="/docs/js/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true });
"""
# Swagger UI sets styles of its elements and draws its icons from data: URLs.
_ALLOWED = ("script-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data:", "connect-src 'self'")

blueprint = open_blueprint("contract", __name__, "This document")


class Part(BaseModel):
    """A file of Swagger UI."""

    filename: str = Field(description="Its path", json_schema_extra={"example": "css/swagger-ui.css"})


class Document(BaseModel):
    """An OpenAPI document."""

    openapi: str = Field(description="Version of the specification that it follows")


@blueprint.get(
    "/openapi.json",
    summary="OpenAPI document",
    responses={200: responses.response(Document, "This document, as OpenAPI 3.1", document={"openapi": "3.1.0"})},
)
def show_openapi() -> Response:
    """The OpenAPI document of this API."""
    app = current_app
    assert isinstance(app, OpenAPI)
    return json_response(app.api_doc)


@blueprint.get(
    "/docs",
    summary="Swagger UI",
    responses={200: responses.text_response("text/html", "A page with Swagger UI", "<!doctype html>")},
)
def show_docs() -> Response:
    """Swagger UI: read the API and send requests in the browser."""
    return page(_PAGE, *_ALLOWED)


@blueprint.get("/docs/start.js", doc_ui=False)
def start() -> Response:
    """The line that starts Swagger UI; the Content-Security-Policy forbids inline scripts."""
    return Response(_START, content_type="text/javascript; charset=utf-8")


@blueprint.get("/docs/<path:filename>", doc_ui=False)
def show_part(path: Part) -> Response:
    """The files of Swagger UI."""
    return send_from_directory(_SWAGGER, path.filename)
