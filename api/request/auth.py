"""Who calls: an API key, or an instance by its own token; who may not learns nothing."""

from dataclasses import dataclass
from hmac import compare_digest

from flask import g, request
from sqlalchemy import ColumnElement, exists, select, true
from sqlalchemy.orm import Session

from api.request import current
from api.request.errors import Unauthorized
from shared.access import api_keys
from shared.access.api_keys import hash_key
from shared.access.permissions import Permission, permissions_of
from shared.database.connections import translate_errors
from shared.database.enums import Role
from shared.database.models import ApiKey, Deletion
from shared.evolution.rows.tenant import Instance

# An endpoint that is not named here is closed.
NEEDED = {
    "instances.delete_instance": Permission.DELETE,
    "instances.log_instance_out": Permission.LOGOUT,
    "deletions.order_deletion": Permission.DELETE,
    "deletions.list_deletions": Permission.READ,
    "deletions.show_deletion": Permission.READ,
    "deletions.retry_deletion": Permission.RETRY,
    "deletions.cancel_deletion": Permission.CANCEL,
    "receipts.show_receipt": Permission.RECEIPTS,
    "audit.list_lines": Permission.AUDIT,
    "console.instances.list_instances": Permission.READ,
    "console.instances.show_instance": Permission.READ,
    "console.instances.preview_deletion": Permission.DELETE,
    "console.instances.order_deletion": Permission.DELETE,
    "console.instances.log_out": Permission.LOGOUT,
    "console.deletions.list_deletions": Permission.READ,
    "console.deletions.show_deletion": Permission.READ,
    "console.deletions.show_progress": Permission.READ,
    "console.deletions.retry_deletion": Permission.RETRY,
    "console.deletions.cancel_deletion": Permission.CANCEL,
    "console.giving_up.ask": Permission.RETRY,
    "console.giving_up.give_up": Permission.RETRY,
    "console.deletions.show_receipt": Permission.RECEIPTS,
    "console.audit.list_lines": Permission.AUDIT,
}


@dataclass(frozen=True)
class Principal:
    """The caller, by the hash of its key."""

    role: Role
    key_hash: str
    key_id: str  # as written in the audit: tells keys apart, and opens nothing
    instances: frozenset[str] | None = None  # the names that a key is limited to; None is all

    @property
    def sees_all(self) -> bool:
        """Whether every instance is its business, also one that does not exist."""
        return self.role is not Role.INSTANCE and self.instances is None

    @property
    def token_hash(self) -> str:
        """What an instance's deletion keeps, so that its token can follow it; empty for API keys."""
        return self.key_hash if self.role is Role.INSTANCE else ""


def authenticate() -> None:
    """Before each request: know the caller by its `apikey` header, and that its role may do this, or refuse."""
    key = request.headers.get("apikey", "")
    admit(_look_up(key) if key else None)


def admit(found: Principal | None) -> None:
    """Let this caller in if its role may do what the request is for, or refuse."""
    if found is None:
        raise Unauthorized
    g.principal = found
    if not may(NEEDED.get(request.endpoint or "")):
        raise Unauthorized


def may(permission: Permission | None) -> bool:
    """Whether the caller's role has the permission in this deployment."""
    settings = current.services().settings
    return permission in permissions_of(principal().role, instances_may_delete=settings.instance_tokens_may_delete)


def _look_up(key: str) -> Principal | None:
    """Whose key it is: an API key, or an instance's token."""
    services = current.services()
    key_hash = hash_key(services.settings, key)
    if holder := holder_of(key_hash):
        return holder
    # A token outlives its row here: it may follow the deletion it asked for.
    has_ordered = exists().where(Deletion.requester_key_hash == key_hash)
    with translate_errors("the own database"), Session(services.own) as session:
        is_token = bool(session.scalar(select(has_ordered)))
    if services.tenant.knows_token(key) or is_token:
        return Principal(Role.INSTANCE, key_hash, key_hash[:12])
    return None


def holder_of(key_hash: str) -> Principal | None:
    """Whose API key has this hash, as it is now: nothing is remembered, so a revoked key is dead at once."""
    services = current.services()
    admin_hash = hash_key(services.settings, services.settings.admin_key.get_secret_value())
    if compare_digest(key_hash, admin_hash):
        return Principal(Role.ADMIN, key_hash, api_keys.BOOTSTRAP)
    with translate_errors("the own database"), Session(services.own) as session:
        # Looked up by its HMAC: how long that takes tells nothing about any key.
        row = session.scalar(select(ApiKey).where(ApiKey.key_hash == key_hash, api_keys.is_active()))
    if row is None:
        return None
    return Principal(row.role, key_hash, row.id, None if row.instances is None else frozenset(row.instances))


def principal() -> Principal:
    """The caller of this request."""
    found: Principal = g.principal
    return found


def known_principal() -> Principal | None:
    """The caller of this request; None when its key is not known."""
    found: Principal | None = g.get("principal")
    return found


def may_touch(instance: Instance | None, deletion: Deletion | None = None) -> bool:
    """Whether the instance, or the deletion of it, is the caller's business."""
    caller = principal()
    if caller.role is Role.INSTANCE:
        return _is_of(caller, instance) or (deletion is not None and may_follow(deletion))
    # The deletion knows the name that its instance had; a fenced row has another.
    name = deletion.instance_name if deletion else instance.name if instance else None
    return caller.instances is None or name in caller.instances


def may_follow(deletion: Deletion) -> bool:
    """Whether the caller is the instance whose token has asked for this deletion."""
    token_hash = principal().token_hash
    return bool(token_hash) and compare_digest(token_hash, deletion.requester_key_hash)


def may_undo(deletion: Deletion) -> bool:
    """Whether the order is the caller's to resume or cancel: an instance does not undo an admin's."""
    if principal().role is Role.INSTANCE:
        return deletion.requester == Role.INSTANCE and may_follow(deletion)
    return may_touch(None, deletion)


def visible() -> ColumnElement[bool]:
    """The deletions that a list shows to the caller; none is for instances."""
    caller = principal()
    if caller.role is Role.INSTANCE:
        raise Unauthorized
    return true() if caller.instances is None else Deletion.instance_name.in_(caller.instances)


def _is_of(caller: Principal, instance: Instance | None) -> bool:
    if instance is None or not instance.token:
        return False
    return compare_digest(caller.key_hash, hash_key(current.services().settings, instance.token))
