"""A figure: two things measured in turn in one run, and the ratio that is asked for."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """Ours against theirs; a goal is a bound of ours / theirs."""

    what: str
    against: str
    ours: float
    theirs: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ours / self.theirs if self.theirs else float("inf")

    @property
    def met(self) -> bool | None:
        """Whether the goal was reached; None where there is none."""
        if self.at_most is None and self.at_least is None:
            return None
        return (self.at_most is None or self.ratio <= self.at_most) and (
            self.at_least is None or self.ratio >= self.at_least
        )

    @property
    def goal(self) -> str:
        """As the table shows it."""
        if self.at_most is not None:
            return f"<= {self.at_most:g}x"
        return "" if self.at_least is None else f">= {self.at_least:g}x"

    def as_json(self) -> dict[str, Any]:
        """All of it, to compare runs."""
        return {**asdict(self), "ratio": round(self.ratio, 3), "met": self.met}
