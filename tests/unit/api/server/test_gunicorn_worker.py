"""What is told to a client whose request cannot be read."""

import json

import pytest
from gunicorn.http import errors

from api.server.gunicorn_worker import refusal, status_of


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.LimitRequestLine(9000, 8190), 414),
        (errors.LimitRequestHeaders("limit request headers fields size"), 431),
        (errors.ExpectationFailed("x"), 417),
        (errors.InvalidHeaderName("x"), 400),
        (errors.InvalidRequestLine("x"), 400),
        (errors.UnsupportedTransferCoding("x"), 400),
        (KeyError("x"), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_the_parsers_errors_are_the_clients(error: Exception, status: int) -> None:
    """Only what is no parser's error is ours."""
    assert status_of(error) == status


def test_a_refusal_has_the_documented_shape() -> None:
    """As a whole HTTP answer, with the id under which the log has it."""
    head, _, body = refusal(status_of(errors.InvalidHeader("secret")), "an-id").decode().partition("\r\n\r\n")

    assert head.startswith("HTTP/1.1 400 Bad Request\r\n")
    assert f"Content-Length: {len(body)}" in head
    assert "X-Request-Id: an-id" in head
    assert json.loads(body) == {"error": True, "message": "Bad Request"}
