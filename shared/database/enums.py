"""How far deletions, steps and webhooks are: the words of it, without the tables."""

from enum import StrEnum


class ConfirmationMethod(StrEnum):
    """How it was confirmed."""

    TOKEN = "token"  # noqa: S105 - of a preview
    CODE = "code"
    TERMINAL = "terminal"  # typed on the server

    @property
    def words(self) -> str:
        """As a person is told."""
        return _WORDS[self]


_WORDS = {
    ConfirmationMethod.TOKEN: "with the token of a preview",
    ConfirmationMethod.CODE: "with a one-time code",
    ConfirmationMethod.TERMINAL: "typed on the server",
}


class Role(StrEnum):
    """Who calls: an API key's role, or an instance by its own token."""

    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"
    AUDITOR = "auditor"
    INSTANCE = "instance"  # of itself alone, and of what it has ordered


class DeletionStatus(StrEnum):
    """How far a deletion is; written in shared.deletions only."""

    QUEUED = "queued"  # accepted or resumed, nobody has claimed it since
    RUNNING = "running"  # its steps are being worked on
    WAITING = "waiting"  # for a dependency, or for the next try
    FAILED = "failed"  # stopped half-way; can be resumed
    SUCCEEDED = "succeeded"  # gone and checked; never changes again
    CANCELLED = "cancelled"  # stopped before the point of no return; never changes again


class StepStatus(StrEnum):
    """How far one step is."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class WebhookStatus(StrEnum):
    """How far the delivery of one event is."""

    PENDING = "pending"  # to be tried, again or at all
    DELIVERED = "delivered"
    REFUSED = "refused"  # its address is not one that Lethe calls, or none
    EXPIRED = "expired"  # nobody took it in time, or its deletion was cancelled


ENDED = (DeletionStatus.SUCCEEDED, DeletionStatus.CANCELLED)
UNDER_WAY = (DeletionStatus.QUEUED, DeletionStatus.RUNNING, DeletionStatus.WAITING)
