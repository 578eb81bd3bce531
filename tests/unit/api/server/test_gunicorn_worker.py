"""The response to a request that cannot be parsed."""

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
def test_errors_of_the_parser_are_client_errors(error: Exception, status: int) -> None:
    """All other errors are 500."""
    assert status_of(error) == status


def test_a_refusal_has_the_documented_shape() -> None:
    """A complete HTTP response, with the request id of the log."""
    head, _, body = refusal(status_of(errors.InvalidHeader("secret")), "an-id").decode().partition("\r\n\r\n")

    assert head.startswith("HTTP/1.1 400 Bad Request\r\n")
    assert f"Content-Length: {len(body)}" in head
    assert "X-Request-Id: an-id" in head
    assert json.loads(body) == {"error": True, "message": "Bad Request"}
