"""API keys: create, rotate, revoke. Only their hashes are stored."""

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
EVOLUTION = "evolution"  # the id of Evolution's global key in the settings, where that may delete
_SECRET_BYTES = 32
_ID_BYTES = 6


@dataclass(frozen=True)
class NewKey:
    """A new key; it is shown only once."""

    id: str
    key: str


def hash_key(settings: Settings, key: str) -> str:
    """HMAC-SHA256 of a key, as the own database stores it."""
    return digest(settings.secret_key.get_secret_value().encode(), key.encode(), "sha256").hex()


def is_active() -> ColumnElement[bool]:
    """Active keys: not revoked and not expired (database time)."""
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
    """Create a key. instances: the names of the instances that it is limited to; None for all."""
    new_key = _new_key(secrets.token_hex(_ID_BYTES))
    connection.execute(
        insert(ApiKey).values(
            id=new_key.id,
            name=name,
            role=role,
            key_hash=hash_key(settings, new_key.key),
            instances=None if instances is None else list(instances),
            expires_at=from_now(lifetime.total_seconds()) if lifetime else None,
        )
    )
    return new_key


def find_active(connection: Connection, name: str) -> str | None:
    """The id of an active key of this name. Until the transaction ends, no other process can create a key."""
    connection.execute(text("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE"))  # readers do not wait
    return connection.scalar(select(ApiKey.id).where(ApiKey.name == name, is_active()).limit(1))


def rotate(connection: Connection, settings: Settings, key_id: str) -> NewKey | None:
    """Replace the secret of a key; the old one is invalid at once. None when the key is not active.

    Everything else stays: id, role, limits, audit lines, and the deletions that the key has ordered.
    """
    new_key = _new_key(key_id)
    row = update(ApiKey).where(ApiKey.id == key_id, is_active())
    changed = connection.execute(row.values(key_hash=hash_key(settings, new_key.key), rotated_at=func.now()))
    return new_key if changed.rowcount else None


def revoke(connection: Connection, key_id: str) -> bool:
    """Revoke a key for ever. False when there is no such key, or when it is revoked already."""
    row = update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
    return bool(connection.execute(row.values(revoked_at=func.now())).rowcount)


def _new_key(key_id: str) -> NewKey:
    return NewKey(key_id, f"lethe_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}")
