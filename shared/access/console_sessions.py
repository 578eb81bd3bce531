"""Sessions of the console, in the own database: one that was ended is ended for every process and every copy."""

import secrets
from datetime import timedelta
from hashlib import sha256

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from shared.database.models import ConsoleSession

LONGEST = timedelta(hours=12)  # also with activity: a stolen cookie does not work for ever
_SECRET_BYTES = 32


def begin(connection: Connection, key_hash: str) -> str:
    """Begin a session of this key, and remove those that are too old. Returns its secret, which is stored as a hash."""
    past = select(ConsoleSession.digest).where(~_is_fresh()).with_for_update(skip_locked=True)
    connection.execute(delete(ConsoleSession).where(ConsoleSession.digest.in_(past)))
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    connection.execute(insert(ConsoleSession).values(digest=_digest(secret), key_hash=key_hash))
    return secret


def find(connection: Connection, secret: str) -> str | None:
    """The hash of the API key of this session; None when it was ended or is too old."""
    return connection.scalar(
        select(ConsoleSession.key_hash).where(ConsoleSession.digest == _digest(secret), _is_fresh())
    )


def end(connection: Connection, secret: str) -> None:
    """End a session; one that does not exist is ended already."""
    connection.execute(delete(ConsoleSession).where(ConsoleSession.digest == _digest(secret)))


def _is_fresh() -> ColumnElement[bool]:
    return ConsoleSession.started_at > func.now() - LONGEST


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
