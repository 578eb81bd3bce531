"""Values of columns: statuses, roles, and kinds of confirmation. Without SQLAlchemy, which takes long to import."""

from enum import StrEnum


class ConfirmationMethod(StrEnum):
    """How a deletion was confirmed."""

    TOKEN = "token"  # noqa: S105 - of a preview
    CODE = "code"
    TERMINAL = "terminal"  # typed on the server


class Role(StrEnum):
    """Role of a caller: of an API key, or of an instance with its own token."""

    ADMIN = "admin"
    CLIENT = "client"  # a program that was written for Evolution's own API
    OPERATOR = "operator"
    VIEWER = "viewer"
    AUDITOR = "auditor"
    INSTANCE = "instance"  # may delete itself, and see the deletions that it has ordered


class DeletionStatus(StrEnum):
    """Status of a deletion; only shared.deletions writes it."""

    SCHEDULED = "scheduled"  # accepted, and not before its moment; the instance is untouched until then
    QUEUED = "queued"  # accepted or resumed, and not claimed since
    RUNNING = "running"  # a worker runs its steps
    WAITING = "waiting"  # for a dependency, or for the next try
    FAILED = "failed"  # stopped; can be resumed
    SUCCEEDED = "succeeded"  # everything is erased and checked; final
    CANCELLED = "cancelled"  # stopped before the point of no return; final


class StepStatus(StrEnum):
    """Status of a step."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class WebhookStatus(StrEnum):
    """Status of a webhook."""

    PENDING = "pending"  # not delivered yet
    DELIVERED = "delivered"
    REFUSED = "refused"  # its URL is invalid, or its address is not allowed
    EXPIRED = "expired"  # not delivered in time, or its deletion was cancelled


ENDED = (DeletionStatus.SUCCEEDED, DeletionStatus.CANCELLED)
UNDER_WAY = (DeletionStatus.QUEUED, DeletionStatus.RUNNING, DeletionStatus.WAITING)
