"""What a caller is told when something is wrong: one JSON shape for every error."""

import json
import re
from typing import Any

from flask import Flask, Response, g
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from shared import logs
from shared.errors import Refused

log = logs.get(__name__)


def in_words(name: str) -> str:
    """A class's name, as people write it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


class ApiError(Exception):
    """An error with an HTTP status; extra fields follow `message` in the body."""

    status = 400

    def __init__(self, message: str, *, headers: dict[str, str] | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.headers = headers or {}
        self.extra = extra
        self.kind = in_words(type(self).__name__)  # for the audit: the message may hold a name


class BadRequest(ApiError):
    """The request itself is wrong."""


class UnknownInstance(ApiError):
    """Nobody bears that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'The "{name}" instance does not exist')


class DeletionFailed(ApiError):
    """The deletion stopped half-way; sending the same call again resumes it."""


class Unauthorized(ApiError):
    """Not to be told apart: no key, a wrong one, somebody else's, an instance that is not there."""

    status = 401

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class NotFound(ApiError):
    """There is no such deletion."""

    status = 404


class Conflict(ApiError):
    """The deletion is not in a state in which that can be done."""

    status = 409


class AlreadyBeingDeleted(ApiError):
    """Another call's deletion of this instance is under way."""

    status = 409


class Unconfirmed(ApiError):
    """The deletion has to be confirmed, and was not: by nothing, or by what does not count."""

    status = 428

    def __init__(self, message: str, kind: str = "confirmation needed") -> None:
        super().__init__(message)
        self.kind = kind


class LimitReached(ApiError):
    """The key has ordered as many deletions as it may for now."""

    status = 429


def answer(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer, compact and without a newline: the documented bodies are compared byte for byte."""
    return Response(
        json.dumps(body, separators=(",", ":"), ensure_ascii=False),
        status,
        headers,
        content_type="application/json; charset=utf-8",
    )


def error_body(message: str, **extra: Any) -> dict[str, Any]:
    """The documented shape of every error."""
    return {"error": True, "message": message, **extra}


def on_invalid(error: ValidationError) -> Response:
    """A parameter or body that does not fit: 400."""
    return answer(error_body(explain_invalid(error)), 400)


def explain_invalid(error: ValidationError) -> str:
    """Names the field that does not fit, and never repeats its value."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] in ("model_type", "model_attributes_type"):
        return "A JSON object is needed, with Content-Type: application/json"
    # pydantic names its own validators among the places; a caller knows fields only.
    where = ".".join(str(part) for part in first["loc"] if "[" not in str(part))
    what = first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what


def register(app: Flask) -> None:
    """Give every error the documented shape; it is kept for whoever looks at the answer."""

    @app.errorhandler(ApiError)
    def on_api_error(error: ApiError) -> Response:
        g.error = error
        return answer(error_body(error.message, **error.extra), error.status, error.headers)

    @app.errorhandler(HTTPException)
    def on_http_error(error: HTTPException) -> Response:
        g.error = error
        response = error.get_response()  # keeps Allow and Retry-After
        headers = {name: value for name, value in response.headers if name not in ("Content-Type", "Content-Length")}
        name = "Internal server error" if error.code == 500 else error.name
        return answer(error_body(name), error.code or 500, headers)

    @app.errorhandler(Refused)
    def on_refusal(error: Refused) -> Response:
        g.error = error
        return answer(error_body(error.title), 400)

    @app.errorhandler(RecursionError)
    def on_too_deep(_: RecursionError) -> Response:
        return answer(error_body("The body is nested too deeply"), 400)

    @app.errorhandler(Exception)
    def on_any_error(error: Exception) -> Response:
        g.error = error
        log.error("request failed", exc_info=error)
        return answer(error_body("Internal server error"), 500)
