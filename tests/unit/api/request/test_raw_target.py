"""The instance's name as it was sent: decoded once, never trimmed, merged or normalised."""

from typing import Any
from urllib.parse import quote, unquote

import pytest
from flask import Flask, Response
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ

from api.request import errors, raw_target
from api.request.raw_target import RawTarget

DELETE = "/instance/delete/"


def make_app() -> Flask:
    """An application that answers with the decoded and the literal name."""
    app = Flask(__name__)
    app.url_map.merge_slashes = False
    errors.register(app)

    def show(**_: str) -> Response:
        return errors.json_response(
            {"name": raw_target.name_of_request(), "literal": raw_target.literal_name_of_request()}
        )

    app.add_url_rule("/instance/delete/<string:name>", "delete", show, methods=["DELETE"])
    app.add_url_rule("/instance/logout/<string:name>", "logout", show, methods=["DELETE"])
    app.add_url_rule("/other", "other", lambda: Response("other"), methods=["DELETE"])
    app.wsgi_app = RawTarget(app.wsgi_app)  # type: ignore[method-assign]
    return app


APP = make_app()


def send(target: str, variable: str = "RAW_URI") -> Response:
    """A request with this target, as gunicorn hands it over: latin-1, the path decoded, the query split off."""
    environ: dict[str, Any] = create_environ("/", method="DELETE")
    environ.pop("REQUEST_URI", None)
    environ.pop("RAW_URI", None)
    raw = target.encode().decode("latin-1")
    path, _, query = raw.partition("#")[0].partition("?")
    environ.update({variable: raw, "PATH_INFO": unquote(path, "latin-1"), "QUERY_STRING": query})
    return Response.from_app(APP, environ)


def name_of(response: Response) -> Any:
    """The name that the view saw."""
    assert response.status_code == 200, response.data
    return response.get_json()["name"]


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("a", "a"), ("a/b", "a/b"), ("a%2Fb", "a/b"), ("a//b", "a//b"), ("/a", "/a"), ("a/", "a/"), ("..", ".."),
        ("../a", "../a"), ("a/../b", "a/../b"), ("%2e%2e", ".."), (".", "."), ("a%3Fb", "a?b"), ("a%23b", "a#b"),
        ("a#b", "a#b"), ("a#", "a#"), ("%", "%"), ("%6", "%6"), ("%zz", "%zz"), ("%61", "a"), ("%2561", "%61"),
        ("%25", "%"), ("a%20", "a "), ("%20", " "), ("a+b", "a+b"), ("a;b=c", "a;b=c"), ("%F0%9F%A6%8A", "🦊"),
        ("🦊", "🦊"), ("%C3%A4", "ä"), ("e%CC%81", "e\u0301"), ("a%00b", "a\x00b"), ("a%0Ab", "a\nb"), ("A", "A"),
        ("n" * 255, "n" * 255), ("%F0%9F%A6%8A" * 255, "🦊" * 255), ("a*", "a*"), ("[a]", "[a]"), ("a\\b", "a\\b"),
        ("instance/delete/b", "instance/delete/b"), ("http://x/instance/delete/b", "http://x/instance/delete/b"),
    ],
    ids=lambda value: ascii(value)[:24],
)  # fmt: skip
@pytest.mark.parametrize("endpoint", [DELETE, "/instance/logout/"])
def test_a_name_arrives_as_it_was_sent(endpoint: str, sent: str, name: str) -> None:
    """Decoded exactly once, also when a router would change it."""
    assert name_of(send(endpoint + sent)) == name


@pytest.mark.parametrize("sent", ["a?", "a?x=1", "?", "a%3Fb?", "a?#", "a#?", "??"])
def test_a_query_string_is_refused(sent: str) -> None:
    """Even an empty one: `a?` must not delete `a`."""
    response = send(DELETE + sent)

    assert response.status_code == 400
    assert "query string" in response.get_json()["message"]


@pytest.mark.parametrize("sent", ["%FF", "a%C3", "%C3%28", "%ED%A0%80", "%F0%9F%A6", "%C0%AF"])
def test_what_is_not_utf8_is_refused(sent: str) -> None:
    """Half a character, a surrogate, an overlong slash."""
    response = send(DELETE + sent)

    assert response.status_code == 400
    assert response.get_json()["message"] == "The instance name is not valid UTF-8"


@pytest.mark.parametrize("origin", ["http://lethe:8080", "https://lethe", "http://"])
def test_an_absolute_target_is_understood(origin: str) -> None:
    """RFC 9112 has every server accept it."""
    assert name_of(send(f"{origin}{DELETE}a/b")) == "a/b"


@pytest.mark.parametrize("variable", ["RAW_URI", "REQUEST_URI"])
def test_the_target_is_found_where_servers_put_it(variable: str) -> None:
    """gunicorn's RAW_URI, and REQUEST_URI of other servers."""
    assert name_of(send(f"{DELETE}a//b", variable)) == "a//b"


@pytest.mark.parametrize(
    "target",
    ["/instance//delete/a", "//instance/delete/a", "/instance/delete%2Fa", "/%69nstance/delete/a", "*", "",
     "/x/../instance/delete/a", "/instance/delete", "/INSTANCE/DELETE/a", "/x/instance/delete/a",
     "/instance/%64elete/a", "HTTP://x/instance/delete/a"],
)  # fmt: skip
def test_a_path_that_matches_only_after_decoding_deletes_nothing(target: str) -> None:
    """It is not found."""
    assert send(target).status_code == 404


def test_an_empty_name_is_not_found() -> None:
    """Such an instance is deleted by its id."""
    assert send(DELETE).status_code == 404


def test_other_paths_are_left_alone() -> None:
    """The query string too."""
    response = send("/other?x=1")

    assert response.data == b"other"


def test_a_server_without_a_raw_target_deletes_nothing() -> None:
    """The name could be any that decodes to the same."""
    environ: dict[str, Any] = create_environ(f"{DELETE}a", method="DELETE")
    environ.pop("REQUEST_URI", None)
    environ.pop("RAW_URI", None)

    assert Response.from_app(APP, environ).status_code == 404


@pytest.mark.parametrize(("sent", "literal"), [("%61", "%61"), ("a%20b", "a%20b"), ("%2561", "%2561")])
def test_a_name_that_decoding_changes_has_a_literal_form(sent: str, literal: str) -> None:
    """A client that does not percent-encode may mean that."""
    assert send(DELETE + sent).get_json()["literal"] == literal


@pytest.mark.parametrize("sent", ["a", "%", "%zz", "a/b", "🦊", "a#b"])
def test_a_name_that_decoding_does_not_change_has_no_literal_form(sent: str) -> None:
    """Both are equal."""
    assert send(DELETE + sent).get_json()["literal"] is None


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_any_encoded_name_arrives(name: str) -> None:
    """However much of it was encoded."""
    assert name_of(send(DELETE + quote(name, safe=""))) == name


@given(st.text(max_size=30))
def test_no_target_breaks_the_application(text: str) -> None:
    """It is answered, and never with a 500."""
    target = text.encode(errors="replace").decode()

    assert send(DELETE + target).status_code in (200, 400, 404)
