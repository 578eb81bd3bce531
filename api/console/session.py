"""The console's session: a signed cookie with the secret of a row in the own database; it ends with row or key."""

from hmac import digest

from flask import Flask, current_app, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_wtf import CSRFProtect

from api.request import auth, resources
from api.request.auth import Principal
from shared.access import console_sessions
from shared.access.api_keys import hash_key
from shared.database.connections import own_statement, own_transaction
from shared.settings import Settings

_SECRET = "secret"  # noqa: S105 - the name of a member of the cookie


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
        end()  # against session fixation
        with own_transaction(resources.services().own) as connection:
            session[_SECRET] = console_sessions.begin(connection, key_hash)
        session.permanent = True
    return found


def extend() -> None:
    """Restart the idle timeout: the user is active."""
    session.modified = True


def end() -> None:
    """Sign out: no copy of the cookie works any more."""
    if secret := session.get(_SECRET):
        with own_transaction(resources.services().own) as connection:
            console_sessions.end(connection, secret)
    session.clear()


def principal() -> Principal | None:
    """The signed-in principal, with the permissions that its key has now; None when no user is signed in."""
    if _SECRET not in session:
        return None
    with own_statement(resources.services().own) as connection:
        key_hash = console_sessions.find(connection, session[_SECRET])
    found = auth.find_by_key_hash(key_hash) if key_hash else None
    if found is None:
        session.clear()
    return found
