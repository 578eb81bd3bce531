"""What a look at a deployment has found: how each part is, and what to do about it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from redis.exceptions import AuthenticationError
from sqlalchemy.exc import DBAPIError

from shared.errors import LetheError
from shared.services import Services


class Verdict(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"  # deletions work, but not as well as they could
    BROKEN = "broken"  # deletions wait or are refused
    UNUSED = "unused"  # not set, so not looked at


@dataclass(frozen=True)
class Finding:
    """How one part is, and what to do about it."""

    part: str
    verdict: Verdict
    says: str
    advice: str = ""


Look = Callable[[Services], Iterator[Finding]]


def explain(error: Exception) -> str:
    """What went wrong, as the server's own words have it; they name users and hosts, never passwords."""
    cause = error.__cause__ if isinstance(error, LetheError) and isinstance(error.__cause__, DBAPIError) else error
    if isinstance(cause, DBAPIError):
        return str(cause.orig).strip().splitlines()[0]
    if isinstance(error, AuthenticationError):
        return f"Redis does not accept the user or password: {error}"
    return error.title if isinstance(error, LetheError) else f"{type(error).__name__}: {error}"
