"""The result of a check: the state of one part, and what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from redis.exceptions import AuthenticationError
from sqlalchemy.exc import DBAPIError

from shared.errors import LetheError
from shared.services import Services


class Verdict(StrEnum):
    """The state of a part."""

    OK = "ok"
    WARNING = "warning"  # deletions work, but not as well as they could
    BROKEN = "broken"  # deletions wait or are refused
    UNUSED = "unused"  # not set, so not checked


@dataclass(frozen=True)
class Finding:
    """The state of one part, and what to do."""

    part: str
    verdict: Verdict
    says: str
    advice: str = ""


Check = Callable[[Services], Iterator[Finding]]


def explain(error: Exception) -> str:
    """The server's own error message; it may name users and hosts, but no passwords."""
    cause = error.__cause__ if isinstance(error, LetheError) and isinstance(error.__cause__, DBAPIError) else error
    if isinstance(cause, DBAPIError):
        return str(cause.orig).strip().splitlines()[0]
    if isinstance(error, AuthenticationError):
        return f"Redis does not accept the user or password: {error}"
    return error.title if isinstance(error, LetheError) else f"{type(error).__name__}: {error}"
