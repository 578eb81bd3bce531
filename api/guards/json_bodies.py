"""JSON bodies as strict as RFC 8259 allows: no member twice, no NaN; and how large they may be."""

import json
from typing import Any, NoReturn

from flask import Flask, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import RequestEntityTooLarge

from api.request.errors import BadRequest

_LARGEST = 64 * 1024  # both as in api.server.receiving, which refuses more before a thread has it
_LARGEST_LIST = 1024 * 1024  # of an order with many names; nginx passes so much by default
_WITH_LISTS = "deletions.order_deletion"


class _StrictJSON(DefaultJSONProvider):
    def loads(self, s: str | bytes, **options: Any) -> Any:
        """Of two members with one name, parsers take the first or the last: neither may be what was meant."""
        return json.loads(s, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant, **options)


def register(app: Flask) -> None:
    """Read all bodies so."""
    app.json = _StrictJSON(app)
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST
    app.before_request(_allow_lists)


def _allow_lists() -> None:
    if request.endpoint == _WITH_LISTS:
        request.max_content_length = _LARGEST_LIST


def refuse_large() -> None:
    """Refuse a body that is large only for an order without many names."""
    if len(request.get_data()) > _LARGEST:
        raise RequestEntityTooLarge


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise BadRequest("The JSON body has a member twice")
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise BadRequest("The JSON body has a number that JSON does not know")
