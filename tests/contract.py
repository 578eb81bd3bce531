"""Holds every answer that a test receives against the OpenAPI document."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from flask_openapi3 import OpenAPI
from jsonschema import Draft202012Validator

from api import app
from shared import services
from shared.settings import Settings

# Nothing of it is reached: the document is made of the code alone.
NOWHERE: dict[str, Any] = {
    "admin_key": "admin-key-of-the-contract",
    "secret_key": "secret-key-of-the-contract-0123456789",
    "database_url": "postgresql://own.invalid/own",
    "tenant_database_url": "postgresql://tenant.invalid/tenant",
    "redis_url": "redis://redis.invalid/0",
    "gateways": "http://gateway.invalid:8080",
    "gateway_key": "gateway-key-of-the-contract",
}
# What a request that is none of the document's may be told.
OUTSIDE = frozenset({400, 404, 405, 408, 413, 414, 417, 431})
# Set by the server or the protocol, not by the endpoint.
USUAL_HEADERS = frozenset(
    {"server", "date", "connection", "content-type", "content-length", "transfer-encoding"}
    | {"x-content-type-options", "x-lethe"}
)
PAGE_HEADERS = frozenset(
    {"content-security-policy", "referrer-policy", "cache-control", "content-disposition", "allow"}
)
PAGES = re.compile(r"/(docs|console)(/.*)?")


@dataclass(frozen=True)
class Operation:
    """One method of one path of the document."""

    path: str
    method: str
    pattern: re.Pattern[str]
    responses: Mapping[str, Any]


@cache
def application() -> OpenAPI:
    """The application on services that are not there."""
    return app.create(services.create(Settings(**NOWHERE)))


@cache
def document() -> dict[str, Any]:
    """The document as a client gets it."""
    read: dict[str, Any] = json.loads(json.dumps(application().api_doc))
    return read


@cache
def operations() -> tuple[Operation, ...]:
    """Everything that the document describes."""
    return tuple(
        Operation(path, method.upper(), _pattern(path), operation["responses"])
        for path, item in document()["paths"].items()
        for method, operation in item.items()
    )


def check(method: str, target: str, status: int, headers: Mapping[str, str], text: str) -> None:
    """Fail if the document does not say that this call can be answered like this."""
    if PAGES.fullmatch(target.partition("?")[0]) and target != "/docs":
        return
    operation = _operation(method, target)
    if operation is None:
        assert status in OUTSIDE or method in ("HEAD", "OPTIONS"), f"{method} {target} is answered and not documented"
        return
    described = operation.responses.get(str(status))
    assert described is not None, f"{method} {operation.path} answers {status}, which is not documented: {text[:200]}"
    unknown = {name.lower() for name in headers} - {name.lower() for name in described.get("headers", {})}
    assert unknown <= USUAL_HEADERS | PAGE_HEADERS, f"{method} {operation.path} {status}: headers {unknown}"
    media_type = headers.get("Content-Type", "").partition(";")[0]
    assert media_type in described["content"], f"{method} {operation.path} {status}: {media_type}"
    if media_type == "application/json":
        validator(described["content"][media_type]["schema"]).validate(json.loads(text))


def validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """Validates what the document describes by this schema."""
    return Draft202012Validator({**schema, "components": document()["components"]})


def _operation(method: str, target: str) -> Operation | None:
    target = re.sub(r"^https?://[^/]*", "", target)
    path = target if target.startswith("/instance/") else target.partition("?")[0]
    return next((each for each in operations() if each.method == method and each.pattern.fullmatch(path)), None)


def _pattern(path: str) -> re.Pattern[str]:
    """A name is anything; any other part is what stands between two slashes."""
    anything = {"{instanceName}": ".+"}
    parts = re.split(r"(\{\w+\})", path)
    return re.compile(
        "".join(anything.get(part, "[^/]+") if part.startswith("{") else re.escape(part) for part in parts), re.DOTALL
    )
