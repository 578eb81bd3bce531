"""A deletion as it goes: live in a terminal, line by line in a pipe, ended with the deletion."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shared.database.models import Deletion, DeletionStatus, Step, StepStatus

_LOOK_SECONDS = 0.5
_WINDOW_SECONDS = 10  # of which a rate is the mean: shorter ones jump, longer ones lag
_OVER = (DeletionStatus.SUCCEEDED, DeletionStatus.FAILED, DeletionStatus.CANCELLED)

Load = Callable[[], Deletion]


@dataclass
class Meter:
    """How fast one step removes."""

    samples: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, now: float, removed: int) -> None:
        """What it had removed by now, in seconds of any clock."""
        self.samples.append((now, removed))
        while len(self.samples) > 2 and self.samples[1][0] <= now - _WINDOW_SECONDS:
            self.samples.popleft()

    @property
    def per_second(self) -> float:
        """Its mean rate of late; 0 as long as it is not known."""
        if not self.samples:
            return 0.0
        (began, first), (now, last) = self.samples[0], self.samples[-1]
        return (last - first) / (now - began) if now > began else 0.0


@dataclass(frozen=True)
class Line:
    """One step, as shown."""

    name: str
    status: StepStatus
    removed: int
    planned: int
    at_least: bool
    per_second: float

    @property
    def eta_seconds(self) -> float | None:
        """When it is done, if it goes on like this."""
        if self.status is not StepStatus.RUNNING or self.per_second <= 0 or self.planned <= self.removed:
            return None
        return (self.planned - self.removed) / self.per_second

    @property
    def amount(self) -> str:
        """Removed and planned; a dead worker may have removed more than it wrote down."""
        if not self.removed and not self.planned:
            return ""
        return f"{'at least ' if self.at_least else ''}{self.removed:,} / {self.planned:,}"

    @property
    def speed(self) -> str:
        """Rate and remaining time, while it runs."""
        if self.status is not StepStatus.RUNNING or not self.per_second:
            return ""
        eta = self.eta_seconds
        return f"{self.per_second:,.0f}/s" + ("" if eta is None else f", {eta:,.0f} s to go")


@dataclass
class Watch:
    """Looks at a deletion again and again, and knows how fast each step is."""

    load: Load
    meters: dict[str, Meter] = field(default_factory=dict)

    def looks(self) -> Iterator[tuple[Deletion, list[Line]]]:
        """The deletion, twice a second, until it has ended; the last look is at its end."""
        while True:
            deletion = self.load()
            yield deletion, [self._line(step) for step in deletion.steps]
            if deletion.status in _OVER:
                return
            time.sleep(_LOOK_SECONDS)  # for whoever reads along: nothing waits for this

    def _line(self, step: Step) -> Line:
        removed, meter = sum(step.removed.values()), self.meters.setdefault(step.name, Meter())
        if step.status is StepStatus.RUNNING:  # the time before is no part of its rate
            meter.add(time.monotonic(), removed)
        planned = sum((step.planned or {}).values())
        return Line(step.name, step.status, removed, planned, step.at_least, meter.per_second)


def follow(load: Load, *, as_json: bool) -> bool:
    """Show the deletion until it ends; returns whether it succeeded."""
    watch, console = Watch(load), Console(highlight=False)
    if as_json:
        return _print_changes(watch, lambda deletion, lines: click.echo(json.dumps(_facts(deletion, lines))))
    if console.is_terminal:
        return _draw(watch, console)
    return _print_changes(watch, _print_line)


def _draw(watch: Watch, console: Console) -> bool:
    with Live(console=console, auto_refresh=False) as live:
        for deletion, lines in watch.looks():
            live.update(_table(deletion, lines), refresh=True)
    return deletion.status is DeletionStatus.SUCCEEDED


def _table(deletion: Deletion, lines: list[Line]) -> Table:
    title = Text(f"{deletion.id}  {deletion.status.value}", style="bold")
    # Text, not markup: a name or reason with brackets in it is shown as it is.
    caption = Text(f"{deletion.instance_name!r} {deletion.reason or ''}")
    table = Table(title=title, caption=caption, box=None, title_justify="left", caption_justify="left")
    for head in ("step", "status"):
        table.add_column(head)
    for head in ("removed / planned", "rate"):
        table.add_column(head, justify="right")
    for line in lines:
        table.add_row(line.name, line.status.value, line.amount, line.speed)
    return table


def _print_changes(watch: Watch, show: Callable[[Deletion, list[Line]], None]) -> bool:
    """Show each look that differs from the one before."""
    before: Any = None
    for deletion, lines in watch.looks():
        now = (deletion.status, [(line.status, line.removed) for line in lines])
        if now != before:
            show(deletion, lines)
        before = now
    return deletion.status is DeletionStatus.SUCCEEDED


def _print_line(deletion: Deletion, lines: list[Line]) -> None:
    done = sum(line.status is StepStatus.DONE for line in lines)
    line = next((each for each in lines if each.status is not StepStatus.DONE), None)
    at = f"{line.name} {line.status.value} {line.amount} {line.speed}" if line else ""
    click.echo(f"{deletion.status.value}  {done} of {len(lines)} steps  {at}{deletion.reason or ''}".rstrip())


def _facts(deletion: Deletion, lines: list[Line]) -> dict[str, Any]:
    steps = {
        line.name: {
            "status": line.status.value,
            "removed": line.removed,
            "planned": line.planned,
            "perSecond": round(line.per_second, 1),
            "etaSeconds": None if line.eta_seconds is None else round(line.eta_seconds),
        }
        for line in lines
    }
    return {"id": str(deletion.id), "status": deletion.status.value, "reason": deletion.reason, "steps": steps}
