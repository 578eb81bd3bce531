"""What the fault tests saw, counted over all of them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Figures:
    """Counts of one test run; recovery is measured from the fault to the last deletion's success."""

    kills: int = 0  # signals sent to end a process or its group for good
    interrupted: int = 0  # steps that a kill of their worker met at a chosen point; one kill meets several
    deploys: int = 0  # SIGTERMs
    finished: int = 0
    double_runs: list[str] = field(default_factory=list)
    left_overs: list[str] = field(default_factory=list)
    longest_recovery_seconds: float = 0.0
    longest_recovery_of: str = "-"
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def recovery(self, of: str) -> Iterator[None]:
        """Measure how long it takes from the fault to the end of the block."""
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        if took > self.longest_recovery_seconds:
            self.longest_recovery_seconds, self.longest_recovery_of = took, of

    def __str__(self) -> str:
        return (
            f"kills tried {self.kills}, steps interrupted by them at a chosen point {self.interrupted},"
            f" deploys {self.deploys}, deletions finished {self.finished}, double runs {len(self.double_runs)},"
            f" left-overs {len(self.left_overs)},"
            f" longest recovery {self.longest_recovery_seconds:.1f} s ({self.longest_recovery_of})"
        )
