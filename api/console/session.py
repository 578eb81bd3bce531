"""Who is signed in: a cookie that names an API key by its hash, and opens nothing once that key is revoked."""

import time
from hmac import digest

from flask import Flask, current_app, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_wtf import CSRFProtect

from api.request import auth, current
from api.request.auth import Principal
from shared.access.api_keys import hash_key
from shared.settings import Settings

_KEY = "key"
_SINCE = "since"
_LONGEST_SECONDS = 12 * 3600  # however much is clicked: a copy of the cookie does not live for ever


class _Cookies(SecureCookieSessionInterface):
    """Secure where the browser came over HTTPS; without it, on loopback, there would be no signing in."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def register(app: Flask, settings: Settings) -> None:
    """Sign cookies with a key of their own, and check forms where they are asked to be checked."""
    app.secret_key = digest(settings.secret_key.get_secret_value().encode(), b"lethe console sessions", "sha256")
    app.session_interface = _Cookies()
    app.config.update(
        SESSION_COOKIE_NAME="lethe_console",
        SESSION_COOKIE_PATH="/console",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_REFRESH_EACH_REQUEST=False,  # what a page asks for by itself is no click
        PERMANENT_SESSION_LIFETIME=settings.console_idle_seconds,
        WTF_CSRF_CHECK_DEFAULT=False,  # the API's calls carry a key in a header that no foreign page can send
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
    )
    CSRFProtect(app)


def check_form() -> None:
    """Refuse a form that is not from a page of this session."""
    current_app.extensions["csrf"].protect()


def begin(key: str) -> Principal | None:
    """Sign in with an API key; None when it is not one. An instance's token opens no console."""
    key_hash = hash_key(current.services().settings, key)
    holder = auth.holder_of(key_hash)
    if holder:
        session.clear()  # what another page put into it before
        session.update({_KEY: key_hash, _SINCE: int(time.time())})
        session.permanent = True
    return holder


def extend() -> None:
    """Somebody is there: the time without a click begins anew."""
    session.modified = True


def end() -> None:
    """Sign out."""
    session.clear()


def holder() -> Principal | None:
    """Who is signed in, with the rights that the key has now."""
    if _KEY not in session:
        return None
    is_fresh = time.time() - session[_SINCE] < _LONGEST_SECONDS
    found = auth.holder_of(session[_KEY]) if is_fresh else None
    if found is None:
        session.clear()
    return found
