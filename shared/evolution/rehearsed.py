"""Remembers for some minutes what was tried and worked, so that the next deletion does not try it again."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

_MINUTES = 5
T = TypeVar("T")


@dataclass
class Rehearsed:
    """What has worked lately, in this process. A failure is not remembered: a remedy shows at once."""

    seconds: float = _MINUTES * 60
    _until: dict[str, float] = field(default_factory=dict)  # time.monotonic()
    _answers: dict[str, Any] = field(default_factory=dict)

    def once(self, what: str, attempt: Callable[[], None]) -> None:
        """Attempt it unless it has worked lately; raises what the attempt raises."""
        if time.monotonic() < self._until.get(what, 0):
            return
        attempt()
        self._until[what] = time.monotonic() + self.seconds

    def answer(self, what: str, ask: Callable[[], T]) -> T:
        """What asking has answered lately, or answers now."""
        self.once(what, lambda: self._answers.update({what: ask()}))
        found: T = self._answers[what]
        return found
