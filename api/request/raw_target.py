"""Instance names from the raw request target: any text, decoded once, never trimmed, merged or normalised."""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from flask import request

from api.request.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_BY_NAME = re.compile(r"(?:https?://[^/]*)?(?P<endpoint>/instance/(?:delete|logout)/)(?P<name>.*)", re.DOTALL)
_RAW_NAME = "lethe.raw_name"


class RawTarget:
    """WSGI middleware: keeps the name as it was sent, and gives Flask one path segment that it does not change.

    PATH_INFO is already decoded, and loses an empty query string or a fragment: `a?` would delete `a`.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Rewrite the path of the two endpoints that carry a name."""
        target: Any = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
        if match := _BY_NAME.fullmatch(target):
            environ[_RAW_NAME] = match["name"].encode("latin-1")
            environ["PATH_INFO"] = match["endpoint"] + quote(match["name"], safe="%")
            environ["QUERY_STRING"] = ""
        return self._app(environ, start_response)


def name_of_request() -> str:
    """The name in this request's target; raises BadRequest for a query string or invalid UTF-8."""
    raw = request.environ.get(_RAW_NAME)
    if raw is None:  # the path matched only after it was decoded
        raise NotFound("Not Found")
    if b"?" in raw:
        raise BadRequest("A query string is not allowed here; a ? in the instance name is sent as %3F")
    return decode(raw)


def literal_name_of_request() -> str | None:
    """The name as a client means it that does not percent-encode; None when it equals the decoded name."""
    raw = request.environ[_RAW_NAME]
    if raw == unquote_to_bytes(raw):
        return None
    return str(raw.decode(errors="replace"))


def has_last_slash() -> bool:
    """Whether the name as it was sent ends with one raw slash, which Express leaves out; `%2F` is part of the name."""
    raw: bytes = request.environ[_RAW_NAME]
    return raw.endswith(b"/") and raw.strip(b"/") != b"" and not raw.endswith(b"//")


def decode(raw: bytes) -> str:
    """Percent-decode once; raises BadRequest for invalid UTF-8."""
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise BadRequest("The instance name is not valid UTF-8") from None
