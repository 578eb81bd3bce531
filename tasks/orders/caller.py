"""The caller of an order: an API key, an instance's token, or an operator at the command line."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.access.confirmation import Confirmation
from shared.audit.entries import Actor
from shared.database.models import Deletion
from shared.deletions.lifecycle import Requester
from shared.evolution.rows.tenant import Instance


def without_confirmation(instance: Instance) -> Confirmation | None:  # noqa: ARG001
    """Confirm nothing, where the caller is not asked."""
    return None


@dataclass(frozen=True)
class Caller:
    """A caller, with checks that API and command line each provide; a check raises their own errors."""

    actor: Actor
    authorise: Callable[[Instance | None, Deletion | None], None]
    token_hash: str = ""  # of an instance's own token
    count_request: Callable[[], None] = lambda: None  # for the rate limit; called last, so refusals do not count
    confirm: Callable[[Instance], Confirmation | None] = without_confirmation
    exports: bool = False  # whether the order asks for exports before anything is erased
    # The same for an order of many deletions: whether it may, without an error; how many; and of the list's digest.
    may: Callable[[Instance | None, Deletion | None], bool] = lambda instance, deletion: True  # noqa: ARG005
    count_requests: Callable[[int], None] = lambda number: None  # noqa: ARG005
    confirm_list: Callable[[str], Confirmation | None] = lambda digest: None  # noqa: ARG005

    @property
    def requester(self) -> Requester:
        """The caller as a deletion stores it."""
        return Requester(self.actor.role, self.actor.key_id, self.token_hash)
