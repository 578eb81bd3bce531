"""What each store of Evolution says of what it holds, and whom it must spare."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

Neighbours = Callable[[], list[str]]  # the names of all other instances


@dataclass(frozen=True)
class Usage:
    """How much a place holds for one id, and when the newest of it was written; None when that is not known."""

    number: int
    size_bytes: int
    newest: datetime | None
