"""Errors of the API: one JSON shape for all, `{"error": true, "message": "..."}`."""

import json
import re
from typing import Any

from flask import Flask, Response, g
from psycopg import Error as PostgresError
from pydantic import ValidationError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from shared import logs
from shared.errors import Refused, RefusedByServer, RefusesForNow
from shared.faults import redis as redis_faults

log = logs.get(__name__)
_RETRY_AFTER_SECONDS = 30  # a server that refuses for now


def in_words(name: str) -> str:
    """A class name as words: `BadRequest` becomes `bad request`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


class ApiError(Exception):
    """An error with an HTTP status; extra fields follow `message` in the body."""

    code = 400

    def __init__(self, message: str, *, headers: dict[str, str] | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.headers = headers or {}
        self.extra = extra
        self.kind = in_words(type(self).__name__)  # for the audit: the message may contain a name


class BadRequest(ApiError):
    """The request itself is wrong."""


class UnknownInstance(ApiError):
    """No instance has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'The "{name}" instance does not exist')


class DeletionFailed(ApiError):
    """The deletion stopped half-way; sending the same call again resumes it."""


class Unauthorized(ApiError):
    """The same answer for a missing key, a wrong key, a missing permission, and an instance that does not exist."""

    code = 401

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class NotFound(ApiError):
    """There is no such deletion."""

    code = 404


class Conflict(ApiError):
    """The deletion's status does not allow the operation."""

    code = 409


class AlreadyBeingDeleted(ApiError):
    """Another call's deletion of this instance is under way."""

    code = 409


class Unconfirmed(ApiError):
    """The deletion needs a confirmation, and the request has none or a wrong one."""

    code = 428

    def __init__(self, message: str, kind: str = "confirmation needed") -> None:
        super().__init__(message)
        self.kind = kind


class LimitReached(ApiError):
    """The API key has reached its rate limit."""

    code = 429


class Unavailable(ApiError):
    """A server that Lethe needs refuses for now: it is full, read-only or starting."""

    code = 503

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"Retry-After": str(_RETRY_AFTER_SECONDS)})


class InternalError(ApiError):
    """A database or Redis cannot be reached, or Lethe has a bug."""

    code = 500

    def __init__(self) -> None:
        super().__init__("Internal server error")


def json_response(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response, compact and without a newline: the documented bodies are compared byte for byte."""
    return Response(
        json.dumps(body, separators=(",", ":"), ensure_ascii=False),
        status,
        headers,
        content_type="application/json; charset=utf-8",
    )


def respond(error: Exception) -> Response:
    """The JSON response for any exception."""
    shown = as_api_error(error)
    return json_response({"error": True, "message": shown.message, **shown.extra}, shown.code, shown.headers)


def as_api_error(error: Exception) -> ApiError:
    """Any exception as the client sees it. An unexpected one is logged, and its message is not shown."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):
        return _from_werkzeug(error)
    fault = redis_faults.explain("Lethe's Redis", error) if isinstance(error, RedisError) else error
    if isinstance(fault, RefusesForNow):
        return Unavailable(fault.title)
    if isinstance(error, Refused) and not _is_of_a_database(error):
        return BadRequest(error.title)
    if isinstance(error, ValidationError):
        return BadRequest(explain_invalid(error))
    if isinstance(error, RecursionError):
        return BadRequest("The body is nested too deeply")
    log.error("request failed", exc_info=error)
    return InternalError()


def _is_of_a_database(error: Refused) -> bool:
    """Whether a database refused a statement: 500 is documented for that."""
    return isinstance(error, RefusedByServer) and isinstance(error.__cause__, SQLAlchemyError | PostgresError)


def _from_werkzeug(error: HTTPException) -> ApiError:
    if error.code in (None, 500):
        return InternalError()
    found = ApiError(error.name)
    found.code = error.code
    headers = error.get_response().headers  # keeps Allow and Retry-After
    found.headers = {name: value for name, value in headers if name not in ("Content-Type", "Content-Length")}
    return found


def explain_invalid(error: ValidationError) -> str:
    """Name the field that is wrong; never repeat its value."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] in ("model_type", "model_attributes_type"):
        return "A JSON object is needed, with Content-Type: application/json"
    # pydantic adds the names of its validators in brackets; the client knows fields only.
    where = ".".join(str(part) for part in first["loc"] if "[" not in str(part))
    what = first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what


def register(app: Flask) -> None:
    """Answer every error in the documented shape; g.error keeps the exception for the audit."""

    @app.errorhandler(Exception)
    def on_error(error: Exception) -> Response:
        g.error = error
        return respond(error)
