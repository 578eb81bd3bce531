"""Authentication by API key or instance token, and what the caller may access."""

from dataclasses import dataclass
from hmac import compare_digest

from flask import g, request
from sqlalchemy import ColumnElement, exists, select, true
from sqlalchemy.orm import Session

from api.request import resources, wrong_keys
from api.request.errors import Unauthorized
from shared import logs
from shared.access import api_keys
from shared.access.api_keys import hash_key
from shared.access.permissions import Permission, permissions_of
from shared.database.connections import translate_errors
from shared.database.enums import Role
from shared.database.models import ApiKey, Deletion
from shared.errors import LetheError, Unreachable
from shared.evolution.rows.tenant import Instance

log = logs.get(__name__)

# The permission that each endpoint needs. An endpoint that is not in this table refuses every caller.
REQUIRED = {
    "instances.delete_instance": Permission.DELETE,
    "instances.log_instance_out": Permission.LOGOUT,
    "deletions.order_deletion": Permission.DELETE,
    "deletions.list_deletions": Permission.READ,
    "deletions.show_deletion": Permission.READ,
    "deletions.retry_deletion": Permission.RETRY,
    "deletions.run_deletion_now": Permission.DELETE,
    "deletions.cancel_deletion": Permission.CANCEL,
    "receipts.show_receipt": Permission.RECEIPTS,
    "evidence.attest": Permission.RECEIPTS,
    "evidence.show_attestation": Permission.RECEIPTS,
    "evidence.save_bundle": Permission.RECEIPTS,
    "audit.list_lines": Permission.AUDIT,
    "console.instances.list_instances": Permission.READ,
    "console.instances.show_instance": Permission.READ,
    "console.instances.preview_deletion": Permission.DELETE,
    "console.instances.order_deletion": Permission.DELETE,
    "console.instances.log_out": Permission.LOGOUT,
    "console.selection.preview_deletions": Permission.DELETE,
    "console.selection.order_deletions": Permission.DELETE,
    "console.selection.show_progress_of_all": Permission.READ,
    "console.selection.show_progress": Permission.READ,
    "console.deletions.list_deletions": Permission.READ,
    "console.deletions.show_deletion": Permission.READ,
    "console.deletions.show_progress": Permission.READ,
    "console.deletions.retry_deletion": Permission.RETRY,
    "console.deletions.run_deletion_now": Permission.DELETE,
    "console.deletions.cancel_deletion": Permission.CANCEL,
    "console.gateways.show_form": Permission.RETRY,
    "console.gateways.give_up": Permission.RETRY,
    "console.deletions.show_receipt": Permission.RECEIPTS,
    "console.evidence.attest": Permission.RECEIPTS,
    "console.evidence.show_attestation": Permission.RECEIPTS,
    "console.evidence.save_bundle": Permission.RECEIPTS,
    "console.audit.list_lines": Permission.AUDIT,
}


@dataclass(frozen=True)
class Principal:
    """The caller, identified by the hash of its key."""

    role: Role
    key_hash: str
    key_id: str  # for the audit; it is no secret
    instances: frozenset[str] | None = None  # instance names that the key is limited to; None means all

    @property
    def sees_all(self) -> bool:
        """Whether the caller may access every instance, so that it may also learn that one does not exist."""
        return self.role is not Role.INSTANCE and self.instances is None

    @property
    def token_hash(self) -> str:
        """Stored with a deletion, so that the instance's token can follow it; empty for API keys."""
        return self.key_hash if self.role is Role.INSTANCE else ""


def authenticate() -> None:
    """Before each request: find the caller by its `apikey` header and check its permission; raises Unauthorized.

    Raises LimitReached for an unknown key of an address that has sent too many.
    """
    key = request.headers.get("apikey", "")
    found = _look_up(key) if key else None
    if key and found is None:
        wrong_keys.count()
        log.warning("unknown key refused", reason=_reason(key))
    authorize(found)


def _reason(key: str) -> str:
    """What an operator can do about an unknown key. It is logged and not answered."""
    global_key = resources.services().settings.gateway_key.get_secret_value()
    if compare_digest(key.encode(), global_key.encode()):
        return (
            "it is Evolution's global key, which is no key of Lethe's: set LETHE_GATEWAY_KEY_MAY_DELETE=true, or give"
            " the caller a key of `lethe keys create`"
        )
    return "neither an API key of Lethe's nor an instance's token"


def authorize(found: Principal | None) -> None:
    """Make this the request's principal if it has the endpoint's permission; raises Unauthorized."""
    if found is None:
        raise Unauthorized
    g.principal = found
    if not has_permission(REQUIRED.get(request.endpoint or "")):
        raise Unauthorized


def has_permission(permission: Permission | None) -> bool:
    """Whether the caller's role has the permission in this deployment."""
    settings = resources.services().settings
    return permission in permissions_of(principal().role, instances_may_delete=settings.instance_tokens_may_delete)


def _look_up(key: str) -> Principal | None:
    """The principal of an API key or of an instance's token; None when the key is unknown."""
    services = resources.services()
    key_hash = hash_key(services.settings, key)
    if found := find_by_key_hash(key_hash):
        return found
    # A token stays valid after its instance is gone: it may follow the deletion that it requested.
    has_ordered = exists().where(Deletion.requester_key_hash == key_hash)
    with translate_errors("the own database"), Session(services.own) as session:
        is_token = bool(session.scalar(select(has_ordered)))
    if is_token or _is_an_instances(key):
        return Principal(Role.INSTANCE, key_hash, key_hash[:12])
    return None


def _is_an_instances(token: str) -> bool:
    """Whether some instance has this token; False where Evolution's database refuses the query."""
    try:
        return resources.services().tenant.knows_token(token)
    except Unreachable:
        raise
    except LetheError as error:
        log.warning("an instance's token could not be looked up", reason=error.title)
        return False


def find_by_key_hash(key_hash: str) -> Principal | None:
    """The principal of an active API key. Nothing is cached, so a revoked key stops working at once."""
    services = resources.services()
    admin_hash = hash_key(services.settings, services.settings.admin_key.get_secret_value())
    if compare_digest(key_hash, admin_hash):
        return Principal(Role.ADMIN, key_hash, api_keys.BOOTSTRAP)
    if services.settings.gateway_key_may_delete:
        gateway_hash = hash_key(services.settings, services.settings.gateway_key.get_secret_value())
        if compare_digest(key_hash, gateway_hash):
            return Principal(Role.CLIENT, key_hash, api_keys.EVOLUTION)
    with translate_errors("the own database"), Session(services.own) as session:
        # Found by its HMAC, so the time that this takes says nothing about any key.
        row = session.scalar(select(ApiKey).where(ApiKey.key_hash == key_hash, api_keys.is_active()))
    if row is None:
        return None
    return Principal(row.role, key_hash, row.id, None if row.instances is None else frozenset(row.instances))


def principal() -> Principal:
    """The caller of this request."""
    found: Principal = g.principal
    return found


def principal_or_none() -> Principal | None:
    """The caller of this request; None when its key is unknown."""
    found: Principal | None = g.get("principal")
    return found


def may_access(instance: Instance | None, deletion: Deletion | None = None) -> bool:
    """Whether the caller may access the instance, or its deletion."""
    caller = principal()
    if caller.role is Role.INSTANCE:
        return _is_own_token(caller, instance) or (deletion is not None and _has_requested(deletion))
    # The deletion keeps the original name; deregister changes the name in the Instance row.
    name = deletion.instance_name if deletion else instance.name if instance else None
    return caller.instances is None or name in caller.instances


def _has_requested(deletion: Deletion) -> bool:
    """Whether the caller is the instance whose token requested this deletion."""
    token_hash = principal().token_hash
    return bool(token_hash) and compare_digest(token_hash, deletion.requester_key_hash)


def may_change(deletion: Deletion) -> bool:
    """Whether the caller may resume, run or cancel the deletion; an instance's token may change only its own."""
    if principal().role is Role.INSTANCE:
        return deletion.requester == Role.INSTANCE and _has_requested(deletion)
    return may_access(None, deletion)


def visible_deletions() -> ColumnElement[bool]:
    """The condition for the deletions that the caller may list; raises Unauthorized for instance tokens."""
    caller = principal()
    if caller.role is Role.INSTANCE:
        raise Unauthorized
    return true() if caller.instances is None else Deletion.instance_name.in_(caller.instances)


def _is_own_token(caller: Principal, instance: Instance | None) -> bool:
    if instance is None or not instance.token:
        return False
    return compare_digest(caller.key_hash, hash_key(resources.services().settings, instance.token))
