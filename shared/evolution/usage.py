"""Types that the stores of Evolution share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

OtherNames = Callable[[], list[str]]  # the names of all other instances


@dataclass(frozen=True)
class Usage:
    """How much a store holds for one id or name. newest: when the last of it was written; None if not known."""

    number: int
    size_bytes: int
    newest: datetime | None
