"""What the console shows of a deletion beside its JSON: who requested it, and what the caller can do with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.request import auth, resources
from shared.access.api_keys import BOOTSTRAP
from shared.access.permissions import SERVER, Permission
from shared.database.connections import translate_errors
from shared.database.enums import Role
from shared.database.models import UNDER_WAY, ApiKey, Deletion, DeletionStatus
from shared.settings import ConfirmationMode

STOPPED = (DeletionStatus.FAILED, DeletionStatus.WAITING)


@dataclass(frozen=True)
class Requested:
    """Who requested the deletion, and how it was confirmed; None where no confirmation was required."""

    by: str
    confirmed: str | None
    confirmed_at: datetime | None


def requested(deletion: Deletion) -> Requested:
    """Role and name of the key; a caller that is limited to some instances sees only the role."""
    names = _names(deletion) if auth.principal().sees_all else {}
    confirmed = None
    if deletion.confirmed_with:
        key_id = deletion.confirmed_by
        same = key_id == deletion.requester_key_id or not auth.principal().sees_all
        by = "" if same or key_id is None else f" by {names.get(key_id, key_id)}"
        confirmed = deletion.confirmed_with.words + by
    return Requested(_who(deletion, names), confirmed, deletion.confirmed_at)


def fails_at(deletion: Deletion) -> datetime | None:
    """When a waiting deletion reaches its deadline and fails."""
    if deletion.status is not DeletionStatus.WAITING or deletion.waiting_since is None:
        return None
    return deletion.waiting_since + timedelta(seconds=resources.services().settings.deadline_seconds)


def left_instance_intact(deletion: Deletion) -> bool:
    """Whether it failed before its point of no return: resuming it is confirmed like a new deletion."""
    return deletion.status is DeletionStatus.FAILED and deletion.irrevocable_at is None


def needs_confirmation(deletion: Deletion) -> bool:
    """Whether resuming it needs a confirmation."""
    services = resources.services()
    if services.settings.confirmation is ConfirmationMode.OFF or not left_instance_intact(deletion):
        return False
    return services.tenant.find(instance_id=deletion.instance_id) is not None


def can_retry(deletion: Deletion) -> bool:
    """Whether the caller can resume it."""
    return deletion.status in STOPPED and auth.has_permission(Permission.RETRY) and auth.may_change(deletion)


def can_cancel(deletion: Deletion) -> bool:
    """Whether the caller can still cancel it."""
    untouched = all(step.attempts == 0 for step in deletion.steps)
    return (
        untouched
        and deletion.status in UNDER_WAY
        and auth.has_permission(Permission.CANCEL)
        and auth.may_change(deletion)
    )


def may_give_up_gateways() -> bool:
    """Whether the caller may give up gateways, and see their addresses."""
    return auth.principal().role is Role.ADMIN and auth.principal().sees_all


def remaining_gateways(deletion: Deletion) -> Iterator[tuple[int, str]]:
    """The gateways that were not given up, numbered as in the settings."""
    for number, url in enumerate(resources.services().settings.gateways, 1):
        if url not in deletion.without_gateways:
            yield number, url


def _who(deletion: Deletion, names: dict[str, str]) -> str:
    if deletion.requester == Role.INSTANCE:
        return "the instance, with its own token"
    key_id = deletion.requester_key_id if auth.principal().sees_all else None
    if deletion.requester == SERVER:
        return "on the server" + (f", account {key_id.removeprefix('os:')}" if key_id else "")
    if key_id == BOOTSTRAP:
        return f"{deletion.requester}, with the admin key of the settings"
    return f"{deletion.requester}, with the key {names.get(key_id, key_id)}" if key_id else deletion.requester


def _names(deletion: Deletion) -> dict[str, str]:
    """The API keys that had to do with it, by id, with the names that people gave them."""
    wanted = {deletion.requester_key_id, deletion.confirmed_by} - {None}
    query = select(ApiKey.id, ApiKey.name).where(ApiKey.id.in_(wanted))
    with translate_errors("the own database"), Session(resources.services().own) as session:
        return {key_id: f"“{name}” ({key_id})" for key_id, name in session.execute(query)}
