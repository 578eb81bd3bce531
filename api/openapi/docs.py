"""The contract, for machines at /openapi.json and for people at /docs: Swagger UI, with nothing from elsewhere."""

from pathlib import Path

import flask_openapi3_swagger
from flask import Response, current_app, send_from_directory
from flask_openapi3 import APIBlueprint, OpenAPI, Tag
from pydantic import BaseModel, Field

from api.openapi import responses
from api.request.errors import answer
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

blueprint = APIBlueprint(
    "docs",
    __name__,
    abp_tags=[Tag(name="contract", description="This document")],
    abp_responses=responses.errors(),
    operation_id_callback=responses.operation_id,
)


class Part(BaseModel):
    """A file of Swagger UI."""

    filename: str = Field(description="Its path", json_schema_extra={"example": "css/swagger-ui.css"})


class Document(BaseModel):
    """An OpenAPI document."""

    openapi: str = Field(description="Version of the specification that it follows")


@blueprint.get(
    "/openapi.json",
    summary="The contract",
    responses={200: responses.told(Document, "This document, as OpenAPI 3.1", document={"openapi": "3.1.0"})},
)
def show_openapi() -> Response:
    """The OpenAPI document, where design and clients look for it."""
    app = current_app
    assert isinstance(app, OpenAPI)
    return answer(app.api_doc)


@blueprint.get(
    "/docs",
    summary="The contract, for people",
    responses={200: responses.written("text/html", "A page with Swagger UI", "<!doctype html>")},
)
def show_docs() -> Response:
    """Swagger UI: read, fill in and send requests in the browser."""
    return page(_PAGE, *_ALLOWED)


@blueprint.get("/docs/start.js", doc_ui=False)
def start() -> Response:
    """The one line that starts Swagger UI: its page runs no script that stands in it."""
    return Response(_START, content_type="text/javascript; charset=utf-8")


@blueprint.get("/docs/<path:filename>", doc_ui=False)
def show_part(path: Part) -> Response:
    """What Swagger UI consists of."""
    return send_from_directory(_SWAGGER, path.filename)
