"""Lethe knows itself: by a mark on each of its answers, and on what it sends to gateways, should that come back."""

from flask import Flask, request

from api.request import auditing
from api.request.errors import BadRequest
from shared.evolution.gateway import LETHE_HEADER

# Of every answer, also of those that no request could be read for.
HEADERS = {"X-Content-Type-Options": "nosniff", LETHE_HEADER: "1"}


def register(app: Flask) -> None:
    """Refuse what Lethe itself has sent, before anybody's key is looked at."""
    app.before_request(_refuse_own_calls)


def _refuse_own_calls() -> None:
    if LETHE_HEADER in request.headers:
        auditing.no_order()
        raise BadRequest("This address leads back to Lethe, and a gateway was to be called")
