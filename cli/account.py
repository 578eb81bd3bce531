"""The operating-system account that runs a command: it may do everything, and the audit names it."""

import os
import pwd
from collections.abc import Callable
from uuid import UUID

from shared.access.confirmation import Confirmation
from shared.access.permissions import SERVER
from shared.audit import chain
from shared.audit.entries import Action, Actor, Decision, Entry
from shared.database.connections import own_transaction
from shared.database.enums import ConfirmationMethod
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from tasks.orders.caller import Caller, without_confirmation


def actor() -> Actor:
    """The account that runs this command; environment variables cannot change it."""
    account = os.getuid()
    try:
        name = pwd.getpwuid(account).pw_name
    except KeyError:  # a user of a container without an entry in /etc/passwd
        name = str(account)
    return Actor(SERVER, key_id=f"os:{name}")


def caller(
    confirm: Callable[[Instance], Confirmation | None] = without_confirmation, *, exports: bool = False
) -> Caller:
    """The caller for tasks.orders: may access every instance; `confirm` is called before an intact one is deleted."""
    return Caller(
        actor(),
        authorise=lambda instance, deletion: None,  # noqa: ARG005
        confirm=confirm,
        exports=exports,
    )


def confirmation() -> Confirmation:
    """The confirmation that the operator has typed the requested text."""
    return Confirmation(actor().key_id, ConfirmationMethod.TERMINAL)


def audit(
    made: Services,
    action: Action,
    decision: Decision,
    reason: str,
    *,
    instance_id: str | None = None,
    deletion_id: UUID | None = None,
) -> None:
    """Write an audit line of this account."""
    with own_transaction(made.own) as connection:
        chain.append(connection, Entry(action, decision, actor(), instance_id, deletion_id, reason))
