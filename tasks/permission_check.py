"""Whether whoever ordered a deletion still may: looked at again before what cannot be undone, and never after."""

from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

from sqlalchemy import and_, bindparam, select

from shared.access import api_keys
from shared.access.permissions import SERVER, Permission, permissions_of
from shared.database.connections import own_statement
from shared.database.enums import Role
from shared.database.models import ApiKey, Deletion
from shared.errors import RightsLost
from tasks.context import Context

_REQUESTER = (
    select(
        Deletion.requester,
        Deletion.requester_key_id,
        Deletion.requester_key_hash,
        Deletion.irrevocable_at,
        ApiKey.role,
        ApiKey.instances,
    )
    .outerjoin(ApiKey, and_(ApiKey.id == Deletion.requester_key_id, api_keys.is_active()))
    .where(Deletion.id == bindparam("of_deletion"))
)


@dataclass(frozen=True)
class _Requester:
    """Who answers for a deletion, with its key as that is now."""

    requester: str
    key_id: str | None
    token_hash: str
    irrevocable_at: datetime | None
    role: Role | None  # of the key; None when it is not alive, or was none
    instances: list[str] | None


def recheck_permission(ctx: Context) -> None:
    """Raise RightsLost when the requester could not order this deletion any more."""
    requester = _requester_of(ctx)
    if requester.irrevocable_at is None and (why := _why_not(ctx, requester)):
        raise RightsLost(f"No longer permitted: {why}")


def _requester_of(ctx: Context) -> _Requester:
    with own_statement(ctx.services.own) as connection:
        return _Requester(*connection.execute(_REQUESTER, {"of_deletion": ctx.deletion_id}).one())


def _why_not(ctx: Context, requester: _Requester) -> str | None:
    # The settings' own key is not looked at: while it is being changed, workers and API may know different ones.
    if requester.requester == SERVER or requester.key_id == api_keys.BOOTSTRAP:
        return None
    if requester.requester == Role.INSTANCE:
        return _why_not_the_instance(ctx, requester.token_hash)
    if requester.role is None:
        return "the key that ordered it was revoked or has expired"
    if Permission.DELETE not in permissions_of(requester.role):
        return "the role of the key that ordered it has changed"
    if requester.instances is not None and ctx.instance_name not in requester.instances:
        return "the key that ordered it is limited to other instances"
    return None


def _why_not_the_instance(ctx: Context, token_hash: str) -> str | None:
    settings = ctx.services.settings
    if Permission.DELETE not in permissions_of(Role.INSTANCE, instances_may_delete=settings.instance_tokens_may_delete):
        return "an instance's token may not delete it any more"
    instance = ctx.services.tenant.find(instance_id=ctx.instance_id)
    if instance is None:  # gone already: there is nobody left whose right it would be
        return None
    now = api_keys.hash_key(settings, instance.token or "")
    return None if compare_digest(now, token_hash) else "the token that ordered it is not the instance's any more"
