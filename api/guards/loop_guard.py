"""Refuses requests that Lethe itself sent to a gateway and that a proxy sent back to Lethe."""

from flask import Flask, request

from api.request import auditing
from api.request.errors import BadRequest
from shared.evolution.gateway import LETHE_HEADER

# On every response, also when the request could not be parsed. The mark tells Lethe's own answers from a gateway's.
HEADERS = {"X-Content-Type-Options": "nosniff", LETHE_HEADER: "1"}


def register(app: Flask) -> None:
    """Refuse Lethe's own requests before the API key is checked."""
    app.before_request(_refuse_own_calls)


def _refuse_own_calls() -> None:
    if LETHE_HEADER in request.headers:
        auditing.skip_refusal()
        raise BadRequest("This address leads back to Lethe, but a gateway was to be called")
