"""API keys: made, found, rotated and revoked; nothing that is kept opens anything."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hmac import digest

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, text, update

from shared.database.enums import Role
from shared.database.models import ApiKey
from shared.database.timing import from_now
from shared.settings import Settings

BOOTSTRAP = "bootstrap"  # the id of the admin key in the settings
_SECRET_BYTES = 32
_ID_BYTES = 6


@dataclass(frozen=True)
class NewKey:
    """A key as its holder gets it, this once."""

    id: str
    key: str


def hash_key(settings: Settings, key: str) -> str:
    """HMAC-SHA256, so that the own database holds nothing a key could be guessed from."""
    return digest(settings.secret_key.get_secret_value().encode(), key.encode(), "sha256").hex()


def is_active() -> ColumnElement[bool]:
    """Neither revoked nor expired, by the database's clock."""
    not_expired = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
    return and_(ApiKey.revoked_at.is_(None), not_expired)


def create(
    connection: Connection,
    settings: Settings,
    *,
    name: str,
    role: Role,
    instances: Sequence[str] | None = None,
    lifetime: timedelta | None = None,
) -> NewKey:
    """Make a key; instances are the names that it is limited to, None is all."""
    made = _make(secrets.token_hex(_ID_BYTES))
    connection.execute(
        insert(ApiKey).values(
            id=made.id,
            name=name,
            role=role,
            key_hash=hash_key(settings, made.key),
            instances=None if instances is None else list(instances),
            expires_at=from_now(lifetime.total_seconds()) if lifetime else None,
        )
    )
    return made


def find_active(connection: Connection, name: str) -> str | None:
    """The id of a key of this name that is alive; until the transaction ends, nobody else makes one."""
    connection.execute(text("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE"))  # it stops no reader
    return connection.scalar(select(ApiKey.id).where(ApiKey.name == name, is_active()).limit(1))


def rotate(connection: Connection, settings: Settings, key_id: str) -> NewKey | None:
    """Give the key a new secret, and let the old one be wrong from now on; None when it is not alive.

    It stays the same key: with its rights, its limits, its lines in the audit and the deletions that it has ordered.
    """
    made = _make(key_id)
    row = update(ApiKey).where(ApiKey.id == key_id, is_active())
    changed = connection.execute(row.values(key_hash=hash_key(settings, made.key), rotated_at=func.now()))
    return made if changed.rowcount else None


def revoke(connection: Connection, key_id: str) -> bool:
    """Let the key open nothing any more, for good; False when there is no such key, or it is revoked already."""
    row = update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
    return bool(connection.execute(row.values(revoked_at=func.now())).rowcount)


def _make(key_id: str) -> NewKey:
    return NewKey(key_id, f"lethe_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}")
