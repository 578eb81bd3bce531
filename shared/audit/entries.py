"""What a line of the audit says: who acted, what was tried, and what came of it."""

import re
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

_MAX_PRODUCTS_LENGTH = 120
_PRODUCT = re.compile(r"(?<!\S)[A-Za-z][A-Za-z._-]{0,30}/[0-9.]{1,20}(?!\S)")
_POSSIBLE_PHONE_NUMBER = re.compile(r"\d{6,}")


class Action(StrEnum):
    """What was tried."""

    DELETE = "delete"
    BULK = "bulk"  # an order of many deletions; each of them has its own line as well
    LOGOUT = "logout"
    PREVIEW = "preview"
    RETRY = "retry"
    CANCEL = "cancel"
    RUN_NOW = "run_now"  # a scheduled deletion begins before its moment
    READ = "read"
    SIGN_IN = "sign_in"
    RECEIPT = "receipt"
    KEYS = "keys"
    EXPORT = "export"  # an archive of an instance was written
    SWEEP = "sweep"  # `lethe sweep` removed leftovers of instances that do not exist
    TOMBSTONES = "tombstones"  # `lethe tombstones replay` deletes instances that a restored backup brought back
    LOOK_AGAIN = "look_again"  # the check for data that came back after a deletion
    THROTTLE = "throttle"  # `lethe throttle` changed how fast rows are erased
    WEBHOOK = "webhook"
    ATTEST = "attest"  # a look into every store for an erased instance, and a signed statement on it
    EVIDENCE = "evidence"  # a bundle of all that proves a deletion was read


class Decision(StrEnum):
    """What came of it: the answer to a request, and later its outcome."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DELIVERED = "delivered"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Actor:
    """Who acted, and from where. Only the products of user_agent are stored."""

    role: str
    key_id: str | None = None
    address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


WORKER = Actor("worker")  # reports how the request of another actor ended


@dataclass(frozen=True)
class Entry:
    """One line of the audit log. It names an instance by id, never by name: a name is often a phone number."""

    action: Action
    decision: Decision
    actor: Actor = WORKER
    instance_id: str | None = None
    deletion_id: UUID | None = None
    reason: str | None = None
    times: int = 1  # how many requests the line stands for


def deletion_ended(decision: Decision, deletion_id: UUID, instance_id: str, step: str | None = None) -> Entry:
    """How a deletion ended. It says at which step, but no error text, which may contain names."""
    reason = f"at {step}" if step else None
    return Entry(Action.DELETE, decision, instance_id=instance_id, deletion_id=deletion_id, reason=reason)


def products(user_agent: str | None) -> str | None:
    """The products in a user agent (`curl/8.5.0`). The rest is free text, and may contain a name or a number."""
    found = [_POSSIBLE_PHONE_NUMBER.sub("#", product) for product in _PRODUCT.findall(user_agent or "")]
    return " ".join(found)[:_MAX_PRODUCTS_LENGTH].strip() or None
