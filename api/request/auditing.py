"""The audit's edge: who calls from where, and a line for each call that was refused."""

from dataclasses import dataclass, replace
from uuid import UUID

import structlog
from flask import Flask, Response, g, request

from api.request import auth, current
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
    "deletions.cancel_deletion": Action.CANCEL,
    "receipts.show_receipt": Action.RECEIPT,
    "console.sign_in.sign_in": Action.SIGN_IN,
    "console.instances.preview_deletion": Action.PREVIEW,
    "console.instances.order_deletion": Action.DELETE,
    "console.instances.log_out": Action.LOGOUT,
    "console.deletions.retry_deletion": Action.RETRY,
    "console.deletions.cancel_deletion": Action.CANCEL,
    "console.giving_up.give_up": Action.RETRY,
    "console.deletions.show_receipt": Action.RECEIPT,
}


@dataclass(frozen=True)
class _Attempt:
    """What this request is about, as far as it is known yet."""

    action: Action | None
    accepted: bool = False
    instance_id: str | None = None
    deletion_id: UUID | None = None


def register(app: Flask) -> None:
    """Look at every answer before it leaves."""
    app.after_request(_write_refusal)


def actor() -> Actor:
    """Who calls, and from where; nobody when no key was known."""
    return actor_of(auth.known_principal())


def actor_of(caller: auth.Principal | None) -> Actor:
    """Somebody, as this request's caller."""
    return Actor(
        role=caller.role if caller else refusals.UNKNOWN_CALLER,
        key_id=caller.key_id if caller else None,
        address=request.remote_addr,
        user_agent=request.headers.get("User-Agent"),
        request_id=structlog.contextvars.get_contextvars().get("request_id"),
    )


def acting(action: Action) -> None:
    """The request turned out to be this, rather than what its endpoint says."""
    g.attempt = replace(_attempt(), action=action)


def about(instance_id: str | None, deletion_id: UUID | None) -> None:
    """The instance and the deletion that are meant, also when the caller may not have them."""
    g.attempt = replace(_attempt(), instance_id=instance_id, deletion_id=deletion_id)


def accepted() -> None:
    """The request has a line already, and whatever comes of it has lines of its own."""
    g.attempt = replace(_attempt(), accepted=True)


def no_order() -> None:
    """Nobody has ordered anything: the request's refusal gets no line."""
    accepted()


def _attempt() -> _Attempt:
    found: _Attempt = g.get("attempt") or _Attempt(_ACTIONS.get(request.endpoint or ""))
    return found


def _write_refusal(response: Response) -> Response:
    attempt, status = _attempt(), response.status_code
    action = attempt.action or (Action.READ if status == 401 else None)
    if status >= 400 and action and not attempt.accepted:
        try:
            _write(replace(attempt, action=action), action, status)
        except LetheError as error:  # the own database is away: the answer is an error in any case
            log.warning("refusal not audited", reason=error.title)
    return response


def _write(attempt: _Attempt, action: Action, status: int) -> None:
    caller = actor()
    if not refusals.count(current.services().redis, action, caller):
        return
    decision = Decision.REFUSED if status < 500 else Decision.FAILED
    with own_transaction(current.services().own) as connection:
        chain.append(connection, Entry(action, decision, caller, attempt.instance_id, attempt.deletion_id, _reason()))


def _reason() -> str:
    """The kind of the error, in words: its text may hold a name."""
    error = g.get("error")
    if error is None:
        return "invalid request"
    return error.kind if isinstance(error, ApiError) else f"error {in_words(type(error).__name__)}"
