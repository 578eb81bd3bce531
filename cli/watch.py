"""`lethe show --watch`: follows a deletion until it ends, as a live table, as lines, or as JSON."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.runtime import print_json
from shared import formatting
from shared.database.models import Deletion, DeletionStatus, Step, StepStatus
from shared.deletions import progress
from shared.deletions.progress import Progress
from shared.translations.sentences import translated
from shared.translations.texts import _

_POLL_SECONDS = 0.5
_ENDED = (DeletionStatus.SUCCEEDED, DeletionStatus.FAILED, DeletionStatus.CANCELLED)

Load = Callable[[], Deletion]


@dataclass(frozen=True)
class Line:
    """One step, as shown."""

    step: Step
    progress: Progress

    @property
    def amount(self) -> str:
        """Removed and planned; a worker that died may have removed more than it counted."""
        if not self.progress.total:
            return ""
        amount = f"{formatting.number(self.progress.done)} / {formatting.number(self.progress.total)}"
        return _("at least {counts}", counts=amount) if self.step.at_least else amount

    @property
    def speed(self) -> str:
        """Rate and remaining time, while the step runs."""
        if not self.progress.per_second:
            return ""
        eta = self.progress.eta_seconds
        return f"{formatting.number(self.progress.per_second)}/s" + (
            _(", {seconds:,.0f} s to go", seconds=eta) if eta else ""
        )


def follow(load: Load, *, as_json: bool) -> bool:
    """Show the deletion until it ends; returns whether it succeeded."""
    console = Console(highlight=False)
    if as_json:
        return _print_changes(load, lambda deletion, lines: print_json(_facts(deletion, lines)))
    if console.is_terminal:
        return _draw(load, console)
    return _print_changes(load, _print_line)


def _poll(load: Load) -> Iterator[tuple[Deletion, list[Line]]]:
    """The deletion twice a second, until it has ended."""
    while True:
        deletion, now = load(), datetime.now(UTC)
        yield deletion, [line_of(step, now) for step in deletion.steps]
        if deletion.status in _ENDED:
            return
        time.sleep(_POLL_SECONDS)  # between two queries of a display; nothing waits for it


def line_of(step: Step, now: datetime) -> Line:
    """The step with its progress at this time."""
    return Line(step, progress.of_step(step.status, step.planned, step.removed, step.started_at, now))


def _draw(load: Load, console: Console) -> bool:
    with Live(console=console, auto_refresh=False) as live:
        for deletion, lines in _poll(load):
            live.update(_table(deletion, lines), refresh=True)
    return deletion.status is DeletionStatus.SUCCEEDED


def _table(deletion: Deletion, lines: list[Line]) -> Table:
    title = Text(f"{deletion.id}  {deletion.status.value}", style="bold")
    # Text, not markup: brackets in a name or reason are shown as they are.
    caption = Text(f"{deletion.instance_name!r} {_why(deletion)}")
    table = Table(title=title, caption=caption, box=None, title_justify="left", caption_justify="left")
    for head in (_("step"), _("status")):
        table.add_column(head)
    for head in (_("removed / planned"), _("rate")):
        table.add_column(head, justify="right")
    for line in lines:
        table.add_row(line.step.name, line.step.status.value, line.amount, line.speed)
    return table


def _print_changes(load: Load, show: Callable[[Deletion, list[Line]], None]) -> bool:
    """Show the deletion whenever a status or a count has changed."""
    before: Any = None
    for deletion, lines in _poll(load):
        now = (deletion.status, [(line.step.status, line.progress.done) for line in lines])
        if now != before:
            show(deletion, lines)
        before = now
    return deletion.status is DeletionStatus.SUCCEEDED


def _print_line(deletion: Deletion, lines: list[Line]) -> None:
    done = sum(line.step.status is StepStatus.DONE for line in lines)
    line = next((each for each in lines if each.step.status is not StepStatus.DONE), None)
    at = f"{line.step.name} {line.step.status.value} {line.amount} {line.speed}" if line else ""
    steps = _("{done} of {all} steps", done=done, all=len(lines))
    click.echo(f"{deletion.status.value}  {steps}  {at} {_why(deletion)}".rstrip())


def _why(deletion: Deletion) -> str:
    """When a scheduled deletion begins, else why a deletion waits or has stopped."""
    if deletion.status is DeletionStatus.SCHEDULED and deletion.not_before:
        return _("begins at {time}", time=formatting.local_time(deletion.not_before))
    return translated(deletion.reason or "")


def _facts(deletion: Deletion, lines: list[Line]) -> dict[str, Any]:
    steps = {
        line.step.name: {
            "status": line.step.status,
            "removed": line.progress.done,
            "planned": line.progress.total,
            "perSecond": line.progress.per_second or 0.0,
            "etaSeconds": line.progress.eta_seconds,
        }
        for line in lines
    }
    facts = {"id": deletion.id, "status": deletion.status, "reason": deletion.reason}
    return {**facts, "notBefore": deletion.not_before, "steps": steps}
