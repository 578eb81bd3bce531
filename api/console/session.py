"""The console's session: a signed cookie with the hash of an API key; it ends when the key is revoked."""

import time
from hmac import digest

from flask import Flask, current_app, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_wtf import CSRFProtect

from api.request import auth, resources
from api.request.auth import Principal
from shared.access.api_keys import hash_key
from shared.settings import Settings

_KEY = "key"
_SINCE = "since"
_LONGEST_SECONDS = 12 * 3600  # also with activity: a stolen cookie does not work for ever


class _Cookies(SecureCookieSessionInterface):
    """Secure cookies over HTTPS; without HTTPS, on loopback, browsers would not send them."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def register(app: Flask, settings: Settings) -> None:
    """Set up signed session cookies and CSRF checks; the key of the cookies is derived from the secret key."""
    app.secret_key = digest(settings.secret_key.get_secret_value().encode(), b"lethe console sessions", "sha256")
    app.session_interface = _Cookies()
    app.config.update(
        SESSION_COOKIE_NAME="lethe_console",
        SESSION_COOKIE_PATH="/console",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_REFRESH_EACH_REQUEST=False,  # a page's automatic requests do not extend the session
        PERMANENT_SESSION_LIFETIME=settings.console_idle_seconds,
        WTF_CSRF_CHECK_DEFAULT=False,  # the API's calls carry a key in a header that no foreign page can send
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
    )
    CSRFProtect(app)


def check_form() -> None:
    """Raise CSRFError for a form that does not come from a page of this session."""
    current_app.extensions["csrf"].protect()


def begin(key: str) -> Principal | None:
    """Sign in with an API key; None when it is not an active one. Instance tokens cannot sign in."""
    key_hash = hash_key(resources.services().settings, key)
    found = auth.find_by_key_hash(key_hash)
    if found:
        session.clear()  # against session fixation
        session.update({_KEY: key_hash, _SINCE: int(time.time())})
        session.permanent = True
    return found


def extend() -> None:
    """Restart the idle timeout: the user is active."""
    session.modified = True


def end() -> None:
    """Sign out."""
    session.clear()


def principal() -> Principal | None:
    """The signed-in principal, with the permissions that its key has now; None when no user is signed in."""
    if _KEY not in session:
        return None
    is_fresh = time.time() - session[_SINCE] < _LONGEST_SECONDS
    found = auth.find_by_key_hash(session[_KEY]) if is_fresh else None
    if found is None:
        session.clear()
    return found
