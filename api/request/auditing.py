"""Writes an audit line for each refused request; tells who calls, and from where."""

from dataclasses import dataclass, replace
from uuid import UUID

import structlog
from flask import Flask, Response, g, request

from api.request import auth, resources
from api.request.errors import ApiError, in_words
from shared import logs
from shared.audit import chain, refusals
from shared.audit.entries import Action, Actor, Decision, Entry
from shared.database.connections import own_transaction
from shared.errors import LetheError

log = logs.get(__name__)
_ACTIONS = {
    "instances.delete_instance": Action.DELETE,
    "instances.log_instance_out": Action.LOGOUT,
    "deletions.order_deletion": Action.DELETE,
    "deletions.retry_deletion": Action.RETRY,
    "deletions.run_deletion_now": Action.RUN_NOW,
    "deletions.cancel_deletion": Action.CANCEL,
    "receipts.show_receipt": Action.RECEIPT,
    "evidence.attest": Action.ATTEST,
    "evidence.show_attestation": Action.ATTEST,
    "evidence.save_bundle": Action.EVIDENCE,
    "console.sign_in.sign_in": Action.SIGN_IN,
    "console.instances.preview_deletion": Action.PREVIEW,
    "console.instances.order_deletion": Action.DELETE,
    "console.selection.preview_deletions": Action.PREVIEW,
    "console.selection.order_deletions": Action.BULK,
    "console.instances.log_out": Action.LOGOUT,
    "console.deletions.retry_deletion": Action.RETRY,
    "console.deletions.run_deletion_now": Action.RUN_NOW,
    "console.deletions.cancel_deletion": Action.CANCEL,
    "console.gateways.give_up": Action.RETRY,
    "console.deletions.show_receipt": Action.RECEIPT,
    "console.evidence.attest": Action.ATTEST,
    "console.evidence.show_attestation": Action.ATTEST,
    "console.evidence.save_bundle": Action.EVIDENCE,
}


@dataclass(frozen=True)
class _Attempt:
    """What the audit line of this request will say, as far as it is known."""

    action: Action | None
    skipped: bool = False
    instance_id: str | None = None
    deletion_id: UUID | None = None


def register(app: Flask) -> None:
    """Check every response before it is sent."""
    app.after_request(_write_refusal)


def actor() -> Actor:
    """The caller of this request, with address and user agent; `nobody` when the key is unknown."""
    return actor_of(auth.principal_or_none())


def actor_of(caller: auth.Principal | None) -> Actor:
    """This principal as the caller of this request."""
    return Actor(
        role=caller.role if caller else refusals.ROLE_WITHOUT_KEY,
        key_id=caller.key_id if caller else None,
        address=request.remote_addr,
        user_agent=request.headers.get("User-Agent"),
        request_id=structlog.contextvars.get_contextvars().get("request_id"),
    )


def set_action(action: Action) -> None:
    """Audit this request as another action than its endpoint's."""
    g.attempt = replace(_attempt(), action=action)


def set_subject(instance_id: str | None, deletion_id: UUID | None) -> None:
    """Set the instance and the deletion of the audit line, also when the caller may not access them."""
    g.attempt = replace(_attempt(), instance_id=instance_id, deletion_id=deletion_id)


def skip_refusal() -> None:
    """Write no line for this request: it has one already, or it orders nothing."""
    g.attempt = replace(_attempt(), skipped=True)


def _attempt() -> _Attempt:
    found: _Attempt = g.get("attempt") or _Attempt(_ACTIONS.get(request.endpoint or ""))
    return found


def _write_refusal(response: Response) -> Response:
    attempt, status = _attempt(), response.status_code
    action = attempt.action or (Action.READ if status in (401, 429) else None)
    if status >= 400 and action and not attempt.skipped:
        try:
            _write(replace(attempt, action=action), action, status)
        except LetheError as error:  # the own database cannot be reached: the response is an error in any case
            log.warning("refusal not audited", reason=error.title)
    return response


def _write(attempt: _Attempt, action: Action, status: int) -> None:
    caller = actor()
    if not refusals.count(resources.services().redis, action, caller):
        return
    decision = Decision.REFUSED if status < 500 else Decision.FAILED
    with own_transaction(resources.services().own) as connection:
        chain.append(connection, Entry(action, decision, caller, attempt.instance_id, attempt.deletion_id, _reason()))


def _reason() -> str:
    """The kind of the error, in words: its message may contain a name."""
    error = g.get("error")
    if error is None:
        return "invalid request"
    return error.kind if isinstance(error, ApiError) else f"error {in_words(type(error).__name__)}"
