"""The responses in the OpenAPI document: the meaning of each status, its headers, and an example."""

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from api.openapi import examples
from api.openapi.schemas import Error

DESCRIPTION = """
Lethe erases one WhatsApp instance from an Evolution API v2 deployment: completely, exactly once, and provably.

**Begin here.** The calls with the tag *operations* need no key. All others need the header `apikey`: an API key
(`lethe keys create` makes one), or an instance's own token, which is valid only for that instance.

1. `POST /deletions` with `"dryRun": true` counts what would be removed, and changes nothing.
2. `DELETE /instance/delete/{instanceName}` erases it. **200** means that everything was removed and that this
   was checked; **202** that the deletion continues: follow `Location`.
3. `GET /deletions/{deletion_id}/receipt` proves it, signed.

**Repeating a call is safe.** A running deletion answers 409, a failed one is resumed.

**Errors** have one shape: `{"error":true,"message":"..."}`. Without permission the answer is
401, whether the instance exists or not.
""".strip()

SECURITY: Any = {
    "apikey": {
        "type": "apiKey",
        "in": "header",
        "name": "apikey",
        "description": "An API key, or an instance's own token, which is valid only for that instance",
    }
}
_HEADERS: dict[str, tuple[str, str, object]] = {
    "X-Request-Id": ("string", "The id of this request in Lethe's logs and audit", "9f2c1b7e4d6a4c0f8f1f4f0b2d3c5a6e"),
    "Location": ("string", "The deletion", f"/deletions/{examples.DELETION_ID}"),
    "Retry-After": ("integer", "Seconds to wait before the next request", 5),
    "Preference-Applied": ("string", "The preferences that were applied", "wait=2"),
    "RateLimit-Limit": ("integer", "Deletions that this key may order in the full window", 10),
    "RateLimit-Remaining": ("integer", "Deletions that are left in it", 0),
    "RateLimit-Reset": ("integer", "Seconds until the next deletion is possible", 42),
}

# Per status: its meaning, an example of `message`, and the headers that it may have.
_ERRORS: dict[int, tuple[str, str, tuple[str, ...]]] = {
    400: ("The request cannot be carried out; `message` says why", 'The "my-instance" instance does not exist', ()),
    401: ("No key, a wrong or expired key, or no permission; all have the same answer", "Unauthorized", ()),
    404: ("It does not exist", "There is no such deletion", ()),
    408: ("The request did not come within 15 seconds", "Request Timeout", ()),
    409: ("Not possible in this status; `deletionId` names the deletion", "It is already being deleted", ("Location",)),
    413: ("The body is larger than 64 KiB; with instanceNames, than 1 MiB", "Request Entity Too Large", ()),
    414: ("The request line is longer than 8190 bytes", "URI Too Long", ()),
    428: (
        "This deployment requires a confirmation; nothing was changed. `message` says how",
        "A confirmation is needed: POST /deletions with dryRun gives a token for X-Confirmation-Token",
        (),
    ),
    429: (
        "The key has reached its rate limit, or its address has sent too many wrong keys; nothing was changed",
        "No more than 10 deletions per minute and key: try again in 42 s",
        ("Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
    ),
    431: ("More than 64 headers, or one longer than 8190 bytes", "Request Header Fields Too Large", ()),
    500: (
        "A database or Redis cannot be reached, or Lethe has a bug; repeating the call is safe",
        "Internal server error",
        (),
    ),
    503: (
        "A server that Lethe needs refuses for now: it is full, read-only or starting; or a store or a gateway that is"
        " to be looked into for an attestation does not answer. Nothing was begun",
        "Lethe's Redis refuses for now: command not allowed when used memory > 'maxmemory'. (Redis OOM)",
        ("Retry-After",),
    ),
}
_WITH_A_DELETION = frozenset({409})
_ALWAYS = frozenset({400, 408, 413, 414, 431, 500, 503})


def response(
    model: type[BaseModel],
    description: str,
    *,
    headers: tuple[str, ...] = (),
    links: Mapping[str, Any] | None = None,
    also: Mapping[str, Any] | None = None,
    **shown: object,
) -> type[BaseModel]:
    """A response with this body: its headers, links, more media types, and named examples."""
    extra = {
        "description": description,
        "headers": {name: _header(name) for name in ("X-Request-Id", *headers)},
        "links": dict(links or {}),
        "content": dict(also or {}),
        "examples": {name: {"value": value} for name, value in shown.items()},
    }
    # The title keeps it one schema in the document, whichever response it describes.
    config = cast(ConfigDict, {"title": model.__name__, "openapi_extra": extra})
    return type(model.__name__, (model,), {"__doc__": model.__doc__, "model_config": config})


def errors(*statuses: int) -> dict[str | int | HTTPStatus, Any]:
    """The responses for these errors, and for those of every call."""
    return {status: _error(status) for status in sorted(_ALWAYS.union(statuses))}


def text_response(media_type: str, description: str, example: str) -> dict[str, Any]:
    """A response that is not JSON."""
    content = {media_type: {"schema": {"type": "string"}, "example": example}}
    return {"description": description, "headers": {"X-Request-Id": _header("X-Request-Id")}, "content": content}


def links_to(*operations: str, at: str = "/id") -> dict[str, Any]:
    """Links from a response with a deletion's id at this place to these operations."""
    return {
        operation: {"operationId": operation, "parameters": {"deletion_id": f"$response.body#{at}"}}
        for operation in operations
    }


def operation_id(*, name: str, **_: str) -> str:
    """The operationId: the function's name in camelCase."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def remove_null_defaults(document: object) -> None:
    """Remove `default: null`, which pydantic writes for optional fields and their schemas do not allow."""
    if isinstance(document, dict):
        if document.get("type", "null") != "null" and document.get("default", 0) is None:
            del document["default"]
        for part in document.values():
            remove_null_defaults(part)
    if isinstance(document, list):
        for part in document:
            remove_null_defaults(part)


@cache  # pydantic takes milliseconds for each model
def _error(status: int) -> type[BaseModel]:
    description, message, headers = _ERRORS[status]
    named = {"deletionId": examples.DELETION_ID} if status in _WITH_A_DELETION else {}
    return response(Error, description, headers=headers, error={"error": True, "message": message, **named})


def _header(name: str) -> dict[str, Any]:
    kind, description, example = _HEADERS[name]
    return {"description": description, "schema": {"type": kind}, "example": example}
