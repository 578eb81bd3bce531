"""What the console shows of a deletion: who requested it, how it was confirmed, and what the caller can do with it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import redirect, url_for
from werkzeug.wrappers import Response

from api import evidence
from api.request import auth, resources
from api.request.errors import Conflict
from shared.access.permissions import Permission
from shared.database.enums import Role
from shared.database.models import ENDED, UNDER_WAY, Deletion, DeletionStatus
from shared.deletions import display
from shared.settings import ConfirmationMode

_SOON = timedelta(minutes=5)
STOPPED = (DeletionStatus.FAILED, DeletionStatus.WAITING)


def redirect_to(deletion_id: UUID) -> Response:
    """Redirect to the page of the deletion."""
    return redirect(url_for("console.deletions.show_deletion", deletion_id=deletion_id), 303)


def requested_by(deletion: Deletion) -> str:
    """Who requested the deletion; a caller that is limited to some instances sees only the role."""
    if not auth.principal().sees_all:
        return display.requester(deletion.requester, None, None)
    name = display.load_key_name(resources.services().own, deletion)
    return display.requester(deletion.requester, deletion.requester_key_id, name)


def confirmed(deletion: Deletion) -> str | None:
    """How the deletion was confirmed; a caller that is limited to some instances sees no key."""
    if not auth.principal().sees_all:
        return display.confirmation_words(deletion.confirmed_with) if deletion.confirmed_with else None
    return display.confirmation(deletion)


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
    """Whether the caller can still cancel it: as in shared.deletions.lifecycle."""
    untouched = deletion.position == 0 and all(step.planned is None for step in deletion.steps)
    return (
        untouched
        and deletion.owner is None
        and deletion.status not in ENDED
        and auth.has_permission(Permission.CANCEL)
        and auth.may_change(deletion)
    )


def changes_soon(deletion: Deletion) -> bool:
    """Whether its page has news in the next minutes: it is under way, or scheduled for a moment so near."""
    if deletion.status is DeletionStatus.SCHEDULED and deletion.not_before:
        return deletion.not_before < datetime.now(UTC) + _SOON
    return deletion.status in UNDER_WAY


def can_run_now(deletion: Deletion) -> bool:
    """Whether it is scheduled, and the caller can begin it now."""
    is_scheduled = deletion.status is DeletionStatus.SCHEDULED
    return is_scheduled and auth.has_permission(Permission.DELETE) and auth.may_change(deletion)


def attested(deletion: Deletion) -> dict[str, Any] | None:
    """What the newest attestation says; None without one, or for a caller that may not see it."""
    if deletion.status is not DeletionStatus.SUCCEEDED or not auth.has_permission(Permission.RECEIPTS):
        return None
    try:
        document = evidence.newest(deletion)
    except Conflict:  # it was changed, which is logged; the rest of the page can be shown all the same
        return None
    said: dict[str, Any] | None = json.loads(document)["attestation"] if document else None
    return said


def may_give_up_gateways() -> bool:
    """Whether the caller may give up gateways, and see their addresses."""
    return auth.principal().role is Role.ADMIN and auth.principal().sees_all


def remaining_gateways(deletion: Deletion) -> Iterator[tuple[int, str]]:
    """The gateways that were not given up, numbered as in the settings."""
    for number, url in enumerate(resources.services().settings.gateways, 1):
        if url not in deletion.without_gateways:
            yield number, url
