"""Follows many deletions until all have ended: one bar with their number, and how many have which status."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.orders import Result
from shared import formatting
from shared.database.models import UNDER_WAY
from shared.deletions import display
from shared.services import Services

_POLL_SECONDS = 1.0


def follow(made: Services, results: Sequence[Result], console: Console) -> list[Result]:
    """The results with the ends of their deletions."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        total = sum(each.status in UNDER_WAY for each in results)
        task = bar.add_task("", total=total)
        while True:
            now = _now(made, results)
            under_way = sum(each.status in UNDER_WAY for each in now)
            counts = Counter(each.status for each in now)
            bar.update(task, completed=total - under_way, description=formatting.counts_in_line(counts))
            if not under_way:
                return now
            time.sleep(_POLL_SECONDS)  # between two queries of a display; nothing waits for it


def _now(made: Services, results: Sequence[Result]) -> list[Result]:
    """The results with the present statuses of those that were under way."""
    ids = [UUID(each.deletion_id) for each in results if each.deletion_id and each.status in UNDER_WAY]
    known = {str(each): found for each, found in display.load_statuses(made.own, ids).items()}
    return [
        replace(each, status=known[each.deletion_id].status.value, reason=known[each.deletion_id].reason)
        if each.deletion_id in known
        else each
        for each in results
    ]
