"""gunicorn's worker: answers invalid HTTP in the documented shape, without repeating any of it."""

import json
import socket
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from gunicorn import util
from gunicorn.http import errors as http
from gunicorn.workers.gthread import ThreadWorker

from api.request import loop_guard
from shared import logs

log = logs.get(__name__)
_STATUSES: dict[type[Exception], HTTPStatus] = {
    http.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    http.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    http.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn has no type information
    """gunicorn's own errors and logs would quote the request line or a header, and so a name or a key."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a request that could not be parsed, or that the application did not answer."""
        status, request_id = status_of(exc), uuid4().hex
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("request failed", request_id=request_id, exc_info=exc)
        else:
            log.warning("request refused", request_id=request_id, reason=type(exc).__name__)
        with suppress(OSError):  # the client has disconnected
            util.write_nonblock(client, refusal(status, request_id))


def status_of(error: Exception) -> HTTPStatus:
    """400 for errors of the parser, 500 for all others."""
    usual = HTTPStatus.BAD_REQUEST if isinstance(error, http.ParseException) else HTTPStatus.INTERNAL_SERVER_ERROR
    return _STATUSES.get(type(error), usual)


def refusal(status: HTTPStatus, request_id: str) -> bytes:
    """A complete HTTP response that closes the connection; with the same body as the application's."""
    message = "Internal server error" if status is HTTPStatus.INTERNAL_SERVER_ERROR else status.phrase
    body = json.dumps({"error": True, "message": message}, separators=(",", ":"))
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Connection: close",
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in loop_guard.HEADERS.items()),
        f"X-Request-Id: {request_id}",
    )
    return "\r\n".join((*head, "", body)).encode()
