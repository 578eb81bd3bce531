"""A deletion as it goes: a live table on a terminal, one line per change elsewhere."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo import interrupts
from demo.processes import NotReady

View = dict[str, Any]
ENDED = ("succeeded", "failed", "cancelled")
LOOK_SECONDS = 0.1
LONGEST_SECONDS = 120
LARGEST = 3
STYLES = {"done": "green", "running": "yellow", "failed": "red"}


def follow(console: Console, look: Callable[[], View]) -> View:
    """Show the deletion until it has ended; its last view."""
    if console.is_terminal and not console.is_dumb_terminal:
        with Live(console=console, auto_refresh=False) as live:
            return _watch(look, lambda view: live.update(_table(view), refresh=True))
    shown: dict[str, str] = {}
    return _watch(look, lambda view: _print_changes(console, view, shown))


def _watch(look: Callable[[], View], show: Callable[[View], None]) -> View:
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        view = look()
        show(view)
        if view["status"] in ENDED:
            return view
        interrupts.sleep(LOOK_SECONDS)
    raise NotReady(f"the deletion: still {view['status']} after {LONGEST_SECONDS} s")


def _table(view: View) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("Step", no_wrap=True)
    table.add_column("Status", no_wrap=True)
    for title in ("Removed", "of", "Time"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("Largest", style="dim")  # alone gives way when the terminal is narrow
    for step in view["steps"]:
        style = STYLES.get(step["status"], "dim")
        cells = (step["name"], step["status"], _removed(step), _planned(step), f"{seconds_of(step):.1f} s")
        table.add_row(*cells, Text(_largest(step), no_wrap=True, overflow="ellipsis"), style=style)
    return table


def _print_changes(console: Console, view: View, shown: dict[str, str]) -> None:
    for step in view["steps"]:
        progress = f"{step['status']:8} {_removed(step):>8} of {_planned(step):>7}"
        if step["status"] == "pending" or shown.get(step["name"]) == progress:
            continue
        shown[step["name"]] = progress
        line = f"  {step['name']:15} {progress}  {seconds_of(step):5.1f} s  {_largest(step)}"
        console.print(line.rstrip(), markup=False, soft_wrap=True)


def seconds_of(timed: View) -> float:
    """From its start to its end, or to now."""
    start = timed.get("startedAt")
    end = timed.get("finishedAt")
    if not start:
        return 0
    return ((datetime.fromisoformat(end) if end else datetime.now(UTC)) - datetime.fromisoformat(start)).total_seconds()


def _removed(step: View) -> str:
    return f"{sum(step['removed'].values()):,}"


def _planned(step: View) -> str:
    return "–" if step["planned"] is None else f"{sum(step['planned'].values()):,}"


def _largest(step: View) -> str:
    counts = sorted(step["removed"].items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {number:,}" for name, number in counts[:LARGEST] if number)
