"""What a line of the audit can say was tried, and what came of it."""

from enum import StrEnum


class Action(StrEnum):
    """What somebody tried."""

    DELETE = "delete"
    LOGOUT = "logout"
    PREVIEW = "preview"
    RETRY = "retry"
    CANCEL = "cancel"
    READ = "read"
    SIGN_IN = "sign_in"
    RECEIPT = "receipt"
    KEYS = "keys"
    SWEEP = "sweep"
    TOMBSTONES = "tombstones"
    LOOK_AGAIN = "look_again"
    THROTTLE = "throttle"
    WEBHOOK = "webhook"


class Decision(StrEnum):
    """What came of it: the answer to the attempt, and later how it ended."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DELIVERED = "delivered"
    EXPIRED = "expired"
