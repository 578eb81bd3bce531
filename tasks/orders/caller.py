"""Who gives an order, whichever way it came."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.access.confirmation import Confirmation
from shared.audit.entries import Actor
from shared.database.models import Deletion
from shared.deletions.lifecycle import Requester
from shared.evolution.rows.tenant import Instance


def _nothing() -> None:
    """What an order costs that is not limited."""


def without_confirmation(instance: Instance) -> Confirmation | None:  # noqa: ARG001
    """What confirms an order where nobody is asked."""
    return None


@dataclass(frozen=True)
class Caller:
    """Who gives the order; the way it came decides what it may and how often, and raises its own errors."""

    actor: Actor
    authorise: Callable[[Instance | None, Deletion | None], None]
    token_hash: str = ""  # of an instance's own token
    count: Callable[[], None] = _nothing  # called when only the commit is missing: what is refused is not counted
    confirm: Callable[[Instance], Confirmation | None] = without_confirmation

    @property
    def requester(self) -> Requester:
        """As the deletion keeps it."""
        return Requester(self.actor.role, self.actor.key_id, self.token_hash)
