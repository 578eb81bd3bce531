"""Checks again, before what cannot be undone, that the requester of a deletion may still order it."""

from hmac import compare_digest
from typing import Any

from sqlalchemy import Row, and_, bindparam, select

from shared.access import api_keys
from shared.access.permissions import SERVER, Permission, permissions_of
from shared.database.connections import own_statement
from shared.database.enums import Role
from shared.database.models import ApiKey, Deletion
from shared.errors import ConnectedAgain, RightsLost
from shared.evolution.rows import listing
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


def recheck_permission(ctx: Context) -> None:
    """Raise RightsLost when the requester could not order this deletion now; not after the point of no return."""
    with own_statement(ctx.services.own) as connection:
        requester = connection.execute(_REQUESTER, {"of_deletion": ctx.deletion_id}).one()
    if requester.irrevocable_at is None and (why := _why_not(ctx, requester)):
        raise RightsLost(f"No longer permitted: {why}")


def check_still_disconnected(ctx: Context, *, is_connected: bool) -> None:
    """Raise ConnectedAgain for a deletion that was ordered only while the instance is disconnected.

    Also when it was connected since the order, which may be long ago, and is not at the moment.
    """
    if not ctx.claim.only_disconnected:
        return
    if is_connected:
        raise ConnectedAgain
    with own_statement(ctx.services.own) as connection:
        ordered_at = connection.execute(select(Deletion.accepted_at).where(Deletion.id == ctx.deletion_id)).scalar_one()
    if listing.was_connected_since(ctx.services.tenant, ctx.instance_id, ordered_at):
        raise ConnectedAgain("The instance was connected since its deletion was ordered for as long as it is not")


def _why_not(ctx: Context, requester: Row[*tuple[Any, ...]]) -> str | None:
    # A key of the settings is not checked: while it is being changed, workers and API may have different ones.
    if requester.requester == SERVER or requester.requester_key_id == api_keys.BOOTSTRAP:
        return None
    if requester.requester_key_id == api_keys.EVOLUTION:
        allowed = ctx.services.settings.gateway_key_may_delete
        return None if allowed else "Evolution's global key may not delete any more"
    if requester.requester == Role.INSTANCE:
        return _why_not_the_instance(ctx, requester.requester_key_hash)
    if requester.role is None:  # the outer join found no active key
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
    if instance is None:  # erased already: there is no token left to compare
        return None
    now = api_keys.hash_key(settings, instance.token or "")
    return None if compare_digest(now, token_hash) else "the token that ordered it is not the instance's any more"
