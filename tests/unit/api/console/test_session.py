"""A session ends without activity, and its cookie cannot be made up."""

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
    """An application without databases: with a session the answer is an error, without one a redirect."""
    return create(services.create(make_settings(trusted_proxies=1)))


def visit(app: Flask, path: str = "/console/", *, signed_in: bool, **environ: str) -> tuple[int, str | None]:
    """The status, and the Location."""
    client = app.test_client()
    if signed_in:
        put_cookie(app, client)
    answer = client.get(path, environ_overrides=environ)
    return answer.status_code, answer.headers.get("Location")


def put_cookie(app: Flask, client: FlaskClient) -> None:
    """A cookie as the sign-in sets it."""
    interface = app.session_interface
    assert isinstance(interface, SecureCookieSessionInterface)
    serializer = interface.get_signing_serializer(app)
    assert serializer
    value = serializer.dumps({"_permanent": True, "secret": "0" * 43})
    client.set_cookie("lethe_console", str(value), path="/console")


def test_no_page_opens_without_a_session(app: Flask) -> None:
    """On every page; with a session, the key is looked up."""
    for path in ("/console/", "/console/deletions", "/console/audit", "/console/instances/x/delete"):
        assert visit(app, path, signed_in=False) == (303, "/console/sign-in")
        assert visit(app, path, signed_in=True) == (500, None)


def test_a_session_ends_without_activity(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time in the settings, by the cookie's timestamp."""
    client, now = app.test_client(), time.time()
    put_cookie(app, client)

    monkeypatch.setattr(itsdangerous.timed.time, "time", lambda: now + 1790)
    before = client.get("/console/").status_code
    monkeypatch.setattr(itsdangerous.timed.time, "time", lambda: now + 1810)
    after = client.get("/console/").status_code

    assert (before, after) == (500, 303)


def test_a_cookie_signed_with_another_secret_is_none(app: Flask, make_settings: Callable[..., Settings]) -> None:
    """Nor is an invented one."""
    other = create(services.create(make_settings(secret_key="another secret key of 32 bytes or more")))
    client = app.test_client()
    put_cookie(other, client)

    assert client.get("/console/").status_code == 303


@pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True)])
def test_the_cookie_has_all_security_attributes(app: Flask, scheme: str, secure: bool) -> None:
    """Path, HttpOnly, SameSite, and Secure over HTTPS."""
    answer = app.test_client().get("/console/sign-in", headers={"X-Forwarded-Proto": scheme})

    attributes = {part.strip() for part in answer.headers["Set-Cookie"].split(";")[1:]}
    assert attributes == {"HttpOnly", "Path=/console", "SameSite=Strict"} | ({"Secure"} if secure else set())


def test_every_page_forbids_external_content(app: Flask) -> None:
    """No inline script or style, no frame, no caching; also on error pages."""
    for path in ("/console/sign-in", "/console/static/console.js", "/console/static/missing"):
        answer = app.test_client().get(path)
        policy = answer.headers["Content-Security-Policy"]

        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]
        assert ("no-store" in answer.headers["Cache-Control"]) == ("console.js" not in path)


def test_the_api_has_no_session(app: Flask) -> None:
    """It sets no cookie and needs no CSRF token."""
    answer = app.test_client().post("/deletions", json={"instanceName": "a"})

    assert answer.json == {"error": True, "message": "Unauthorized"}
    assert "Set-Cookie" not in answer.headers
