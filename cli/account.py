"""Who stands at the server: root or whoever has the settings' secrets may do everything, and the audit tells who."""

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
    """The account of the operating system that runs this command; nothing in the environment changes it."""
    account = os.getuid()
    try:
        name = pwd.getpwuid(account).pw_name
    except KeyError:  # a container's user without a line in /etc/passwd
        name = str(account)
    return Actor(SERVER, key_id=f"os:{name}")


def caller(confirm: Callable[[Instance], Confirmation | None] = without_confirmation) -> Caller:
    """An order from the server: it may touch every instance; confirm is called before one goes that is whole."""
    return Caller(
        actor(),
        authorise=lambda instance, deletion: None,  # noqa: ARG005
        confirm=confirm,
    )


def confirmation() -> Confirmation:
    """Somebody has typed what was asked for."""
    return Confirmation(actor().key_id, ConfirmationMethod.TERMINAL)


def tell_refusal(made: Services, action: Action, reason: str, deletion_id: UUID | None = None) -> None:
    """A line for what could not be done."""
    with own_transaction(made.own) as connection:
        chain.append(connection, Entry(action, Decision.REFUSED, actor(), deletion_id=deletion_id, reason=reason))
