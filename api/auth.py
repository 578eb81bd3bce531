"""Who calls: the admin key, or an instance's own token; who may not learns nothing."""

from dataclasses import dataclass
from hmac import compare_digest, digest

from flask import g, request
from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from api import current
from api.errors import Unauthorized
from shared.database import reaching
from shared.models import Deletion
from shared.settings import Settings
from shared.tenant import Instance

INSTANCE = "instance"


@dataclass(frozen=True)
class Principal:
    """The caller, by the hash of its key."""

    is_admin: bool
    key_hash: str

    @property
    def role(self) -> str:
        """As written on the deletion."""
        return "admin" if self.is_admin else INSTANCE

    @property
    def key_id(self) -> str:
        """As written in the audit: tells keys apart, and opens nothing."""
        return "admin" if self.is_admin else self.key_hash[:12]


def hash_key(settings: Settings, key: str) -> str:
    """HMAC-SHA256, so that the own database holds nothing a key could be guessed from."""
    return digest(settings.secret_key.get_secret_value().encode(), key.encode(), "sha256").hex()


def authenticate() -> None:
    """Before each request: know the caller by its `apikey` header, or raise Unauthorized."""
    services = current.services()
    key = request.headers.get("apikey", "")
    if not key:
        raise Unauthorized
    admin_hash = hash_key(services.settings, services.settings.admin_key.get_secret_value())
    key_hash = hash_key(services.settings, key)
    is_admin = compare_digest(key_hash, admin_hash)
    if not is_admin and not services.tenant.knows_token(key) and not _has_requested(key_hash):
        raise Unauthorized
    g.principal = Principal(is_admin, key_hash)


def _has_requested(key_hash: str) -> bool:
    """A token outlives its row here: it may follow the deletion it asked for."""
    with reaching("the own database"), Session(current.services().own) as session:
        return bool(session.scalar(select(exists().where(*_requested_by(key_hash)))))


def principal() -> Principal:
    """The caller of this request."""
    found: Principal = g.principal
    return found


def known_principal() -> Principal | None:
    """The caller of this request; None when its key is not known."""
    found: Principal | None = g.get("principal")
    return found


def may_read_audit() -> bool:
    """Whether the caller is an admin or an auditor."""
    return principal().role in ("admin", "auditor")


def may_touch(instance: Instance | None, deletion: Deletion | None = None) -> bool:
    """Whether the caller is an admin, the instance itself, or the one who asked for the deletion."""
    caller = principal()
    if caller.is_admin:
        return True
    if instance and instance.token:
        token_hash = hash_key(current.services().settings, instance.token)
        if compare_digest(caller.key_hash, token_hash):
            return True
    return deletion is not None and has_ordered(deletion)


def has_ordered(deletion: Deletion) -> bool:
    """Whether the caller is the instance whose token asked for this deletion; an old admin key is nobody's."""
    return deletion.requester == INSTANCE and compare_digest(principal().key_hash, deletion.requester_key_hash)


def _requested_by(key_hash: str) -> tuple[ColumnElement[bool], ...]:
    return Deletion.requester_key_hash == key_hash, Deletion.requester == INSTANCE
