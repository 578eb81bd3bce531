"""Bodies that two parsers would read differently are refused."""

import pytest
from flask import Flask, request
from flask.testing import FlaskClient

from api.guards import json_bodies
from api.request import errors


@pytest.fixture
def client() -> FlaskClient:
    """An endpoint that answers what it has read."""
    app = Flask(__name__)
    json_bodies.register(app)
    errors.register(app)
    app.add_url_rule("/", view_func=lambda: {"read": request.get_json()}, methods=["POST"])
    app.add_url_rule("/silent", "silent", view_func=lambda: {"read": request.get_json(silent=True)}, methods=["POST"])
    return app.test_client()


@pytest.mark.parametrize("path", ["/", "/silent"])
@pytest.mark.parametrize(
    "body",
    [
        '{"instanceName": "a", "instanceName": "b"}',
        '{"instanceName": "a", "instanceName": "a"}',
        '{"a": {"b": 1, "b": 2}}',
        '[{"a": 1, "a": 2}]',
        '{"a": 1, "\\u0061": 2}',
        '{"a": NaN}',
        '{"a": -Infinity}',
    ],
)
def test_what_can_be_read_in_two_ways_is_400(client: FlaskClient, path: str, body: str) -> None:
    """In the documented shape, and without what was sent."""
    answer = client.post(path, data=body, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"] is True
    assert "instanceName" not in answer.json["message"]


def test_other_bodies_are_read(client: FlaskClient) -> None:
    """Names that differ in case are two."""
    body = '{"a": {"b": 1}, "A": [{"b": 2}, {"b": 3}], "c": "NaN"}'

    answer = client.post("/", data=body, content_type="application/json")

    assert answer.json == {"read": {"a": {"b": 1}, "A": [{"b": 2}, {"b": 3}], "c": "NaN"}}
