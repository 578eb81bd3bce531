"""What a line of the audit says: who acted, what was tried, and what came of it."""

import re
from dataclasses import dataclass
from uuid import UUID

from shared.audit.actions import Action as Action
from shared.audit.actions import Decision as Decision

_LONGEST_AGENT = 120
_PRODUCT = re.compile(r"(?<!\S)[A-Za-z][A-Za-z._-]{0,30}/[0-9.]{1,20}(?!\S)")
_DIGITS = re.compile(r"\d{6,}")


@dataclass(frozen=True)
class Actor:
    """Who acted, and from where; the user agent is made harmless when it is written."""

    role: str
    key_id: str | None = None
    address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


WORKER = Actor("worker")  # tells how it ended what others have asked for


@dataclass(frozen=True)
class Entry:
    """What a line says; ids only, for an instance's name is often a phone number."""

    action: Action
    decision: Decision
    actor: Actor = WORKER
    instance_id: str | None = None
    deletion_id: UUID | None = None
    reason: str | None = None
    times: int = 1  # more than one: attempts that were only counted


def deletion_ended(decision: Decision, deletion_id: UUID, instance_id: str, step: str | None = None) -> Entry:
    """How a deletion ended. Why it failed stands on the deletion alone: errors may name what no audit should."""
    reason = f"at {step}" if step else None
    return Entry(Action.DELETE, decision, instance_id=instance_id, deletion_id=deletion_id, reason=reason)


def products(user_agent: str | None) -> str | None:
    """A user agent's products (`curl/8.5.0`) and nothing else: it is free text, and may hold a name or a number."""
    found = [_DIGITS.sub("#", product) for product in _PRODUCT.findall(user_agent or "")]
    return " ".join(found)[:_LONGEST_AGENT].strip() or None
