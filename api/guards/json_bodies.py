"""JSON bodies as strict as RFC 8259 allows: no member twice, no NaN."""

import json
from typing import Any, NoReturn

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from api.request.errors import BadRequest


class _StrictJSON(DefaultJSONProvider):
    def loads(self, s: str | bytes, **options: Any) -> Any:
        """Of two members with one name, parsers take the first or the last: neither may be what was meant."""
        return json.loads(s, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant, **options)


def register(app: Flask) -> None:
    """Read all bodies so."""
    app.json = _StrictJSON(app)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise BadRequest("The JSON body has a member twice")
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise BadRequest("The JSON body has a number that JSON does not know")
