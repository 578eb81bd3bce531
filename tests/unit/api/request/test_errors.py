"""One shape for every error, byte for byte."""

import json
from uuid import UUID

import pytest
from flask import Flask, Response, abort
from flask.testing import FlaskClient
from pydantic import BaseModel, Field, ValidationError
from redis.exceptions import ResponseError
from sqlalchemy.exc import ProgrammingError
from werkzeug.test import TestResponse

from api.request import errors
from api.request.errors import (
    AlreadyBeingDeleted,
    ApiError,
    BadRequest,
    Conflict,
    DeletionFailed,
    NotFound,
    Unauthorized,
    UnknownInstance,
    json_response,
)
from shared.errors import LostClaim, Refused, RefusedByServer, RefusesForNow, Unreachable

ID = str(UUID(int=7))


def ask(failure: Exception) -> TestResponse:
    """What a client gets when a view raises."""
    app = Flask(__name__)
    errors.register(app)

    @app.get("/")
    def fail() -> Response:
        raise failure

    return app.test_client().get("/")


@pytest.fixture
def client() -> FlaskClient:
    """An application with one view that accepts a POST."""
    app = Flask(__name__)
    errors.register(app)
    app.add_url_rule("/here", view_func=lambda: abort(429, response=None), methods=["POST"])
    return app.test_client()


@pytest.mark.parametrize(
    ("failure", "status", "body"),
    [
        (
            UnknownInstance("my-instance"),
            400,
            '{"error":true,"message":"The \\"my-instance\\" instance does not exist"}',
        ),
        (UnknownInstance("🦊 ä"), 400, '{"error":true,"message":"The \\"🦊 ä\\" instance does not exist"}'),
        (UnknownInstance('a"\\\n'), 400, '{"error":true,"message":"The \\"a\\"\\\\\\n\\" instance does not exist"}'),
        (Unauthorized(), 401, '{"error":true,"message":"Unauthorized"}'),
        (BadRequest("no"), 400, '{"error":true,"message":"no"}'),
        (NotFound("There is no such deletion"), 404, '{"error":true,"message":"There is no such deletion"}'),
        (Conflict("late", deletionId=ID), 409, f'{{"error":true,"message":"late","deletionId":"{ID}"}}'),
        (AlreadyBeingDeleted("x", deletionId=ID), 409, f'{{"error":true,"message":"x","deletionId":"{ID}"}}'),
        (DeletionFailed("why", deletionId=ID), 400, f'{{"error":true,"message":"why","deletionId":"{ID}"}}'),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ApiError) else "",
)
def test_an_error_is_its_documented_body(failure: ApiError, status: int, body: str) -> None:
    """Keys in order, compact, UTF-8, no newline."""
    response = ask(failure)

    assert (response.status_code, response.data.decode()) == (status, body)
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    "failure", [ValueError("hunter2"), Unreachable("hunter2"), LostClaim("hunter2"), KeyError("hunter2")]
)
def test_internal_errors_are_not_shown(failure: Exception) -> None:
    """The documented 500."""
    response = ask(failure)

    assert response.status_code == 500
    assert response.data == b'{"error":true,"message":"Internal server error"}'


@pytest.mark.parametrize(
    "failure",
    [
        RefusesForNow("Lethe's Redis refuses for now: Not enough good replicas to write. (Redis NOREPLICAS)"),
        ResponseError("NOREPLICAS Not enough good replicas to write."),
    ],
)
def test_a_server_that_refuses_for_now_is_no_fault_of_lethe(failure: Exception) -> None:
    """503 with the server's words, in the documented shape, and when to ask again."""
    response = ask(failure)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "30")
    assert json.loads(response.data) == {
        "error": True,
        "message": "Lethe's Redis refuses for now: Not enough good replicas to write. (Redis NOREPLICAS)",
    }


def test_a_statement_that_a_database_refuses_is_the_documented_error() -> None:
    """500 and not a word more."""
    refusal = RefusedByServer('the own database refused a statement: relation "x" does not exist (SQLSTATE 42P01)')
    refusal.__cause__ = ProgrammingError("SELECT 1", None, Exception())

    response = ask(refusal)

    assert (response.status_code, response.data) == (500, b'{"error":true,"message":"Internal server error"}')


def test_a_refusal_says_why() -> None:
    """The caller can fix it."""
    response = ask(Refused("the bucket does not exist"))

    assert (response.status_code, response.data) == (400, b'{"error":true,"message":"the bucket does not exist"}')


def test_headers_of_an_error_are_sent() -> None:
    """Location, for example."""
    response = ask(AlreadyBeingDeleted("x", headers={"Location": f"/deletions/{ID}"}))

    assert response.headers["Location"] == f"/deletions/{ID}"


def test_an_unknown_path_has_the_same_shape(client: FlaskClient) -> None:
    """Not a page of HTML."""
    response = client.get("/nowhere")

    assert (response.status_code, response.data) == (404, b'{"error":true,"message":"Not Found"}')


def test_a_wrong_method_lists_the_allowed_ones(client: FlaskClient) -> None:
    """Allow is kept, the type and the length are those of our body."""
    response = client.get("/here")

    assert (response.status_code, response.data) == (405, b'{"error":true,"message":"Method Not Allowed"}')
    assert "POST" in response.headers["Allow"]
    assert response.headers.getlist("Content-Type") == ["application/json; charset=utf-8"]
    assert response.headers.getlist("Content-Length") == [str(len(response.data))]


def test_an_answer_is_compact_and_keeps_its_order() -> None:
    """As the documented bodies are written."""
    made = json_response({"status": "SUCCESS", "error": False, "response": {"message": "Instance deleted"}})

    assert made.data == b'{"status":"SUCCESS","error":false,"response":{"message":"Instance deleted"}}'
    assert made.status_code == 200


class _Body(BaseModel):
    count: int
    key: str = Field(min_length=5)


@pytest.mark.parametrize(
    ("given", "field"),
    [({"count": "hunter2", "key": "xxxxx"}, "count"), ({"count": 1, "key": "h2"}, "key")],
)
def test_an_invalid_body_names_the_field_and_not_its_value(given: object, field: str) -> None:
    """A key that was sent in the wrong place is not repeated."""
    with pytest.raises(ValidationError) as raised:
        _Body.model_validate(given)

    response = errors.respond(raised.value)

    said = json.loads(response.data)
    assert response.status_code == 400
    assert list(said) == ["error", "message"]
    assert said["message"].startswith(f"{field}: ")
    assert "hunter2" not in said["message"]
    assert "h2" not in said["message"]
