"""A session lives as long as somebody clicks, and not longer than a working day."""

import time
from collections.abc import Callable

import itsdangerous.timed
import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient

from api.app import create
from shared import services
from shared.settings import Settings

NOBODY = ("location", "/console/sign-in")


@pytest.fixture
def app(make_settings: Callable[..., Settings]) -> Flask:
    """An application whose databases cannot be reached: whoever is signed in gets an error, nobody a redirect."""
    return create(services.create(make_settings(trusted_proxies=1)))


def visit(app: Flask, path: str = "/console/", *, signed_in: bool, **environ: str) -> tuple[int, str | None]:
    """The status, and where it leads."""
    client = app.test_client()
    if signed_in:
        put_cookie(app, client, since=time.time())
    answer = client.get(path, environ_overrides=environ)
    return answer.status_code, answer.headers.get("Location")


def put_cookie(app: Flask, client: FlaskClient, *, since: float) -> None:
    """A cookie as signing in sets it."""
    interface = app.session_interface
    assert isinstance(interface, SecureCookieSessionInterface)
    serializer = interface.get_signing_serializer(app)
    assert serializer
    value = serializer.dumps({"_permanent": True, "key": "0" * 64, "since": int(since)})
    client.set_cookie("lethe_console", str(value), path="/console")


def test_nobody_gets_past_the_door_without_a_session(app: Flask) -> None:
    """Whatever the page; with one, the key is looked up."""
    for path in ("/console/", "/console/deletions", "/console/audit", "/console/instances/x/delete"):
        assert visit(app, path, signed_in=False) == (303, "/console/sign-in")
        assert visit(app, path, signed_in=True) == (500, None)


def test_a_session_ends_when_nobody_clicks(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time of the settings, by the cookie's own signature."""
    client, now = app.test_client(), time.time()
    put_cookie(app, client, since=now)

    monkeypatch.setattr(itsdangerous.timed.time, "time", lambda: now + 1790)
    before = client.get("/console/").status_code
    monkeypatch.setattr(itsdangerous.timed.time, "time", lambda: now + 1810)
    after = client.get("/console/").status_code

    assert (before, after) == (500, 303)


def test_a_session_ends_after_twelve_hours_of_clicking(app: Flask) -> None:
    """So that a copy of its cookie does not live for ever."""
    statuses = []
    for hours in (11.9, 12.1):
        client = app.test_client()
        put_cookie(app, client, since=time.time() - hours * 3600)
        statuses.append(client.get("/console/").status_code)

    assert statuses == [500, 303]


def test_a_cookie_signed_with_another_secret_is_none(app: Flask, make_settings: Callable[..., Settings]) -> None:
    """Nor is one that somebody made up."""
    other = create(services.create(make_settings(secret_key="another secret key of 32 bytes or more")))
    client = app.test_client()
    put_cookie(other, client, since=time.time())

    assert client.get("/console/").status_code == 303


@pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True)])
def test_the_cookie_keeps_to_where_it_was_set(app: Flask, scheme: str, secure: bool) -> None:
    """To the console, no script, no foreign page, and over HTTPS no plain connection."""
    answer = app.test_client().get("/console/sign-in", headers={"X-Forwarded-Proto": scheme})

    attributes = {part.strip() for part in answer.headers["Set-Cookie"].split(";")[1:]}
    assert attributes == {"HttpOnly", "Path=/console", "SameSite=Strict"} | ({"Secure"} if secure else set())


def test_every_page_lets_in_nothing_from_elsewhere(app: Flask) -> None:
    """Neither inline script or style, nor a frame; pages are not kept, errors neither."""
    for path in ("/console/sign-in", "/console/static/console.js", "/console/static/missing"):
        answer = app.test_client().get(path)
        policy = answer.headers["Content-Security-Policy"]

        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]
        assert ("no-store" in answer.headers["Cache-Control"]) == ("console.js" not in path)


def test_the_api_is_left_as_it_was(app: Flask) -> None:
    """It sets no cookie and asks for no form's token."""
    answer = app.test_client().post("/deletions", json={"instanceName": "a"})

    assert answer.json == {"error": True, "message": "Unauthorized"}
    assert "Set-Cookie" not in answer.headers
