"""`make bench`: measures, prints a table and writes bench/results/<scale>.json."""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench import exports, media, neighbours, overhead, rows
from bench.figures import Figure
from bench.ground import Ground, ground
from bench.host import scale_out, small_host
from bench.stores import indexes, keys

MEASURES: dict[str, Callable[[Ground, str], Iterator[Figure]]] = {
    module.__name__.rpartition(".")[2]: module.measure
    for module in (small_host, rows, exports, neighbours, indexes, keys, media, overhead, scale_out)
}
RESULTS = Path(__file__).parent / "results"


@click.command()
@click.option("--scale", type=click.Choice(["small", "medium", "large"]), default="small", show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(MEASURES)), help="Some of the measurements.")
def main(scale: str, only: tuple[str, ...]) -> None:
    """Measure Lethe against the plain way, in turn, in one run."""
    console, found = Console(), list[tuple[str, Figure]]()
    with ground() as place:
        for name in only or MEASURES:
            console.print(f"[dim]{name} ...[/dim]")
            began = time.monotonic()
            for figure in MEASURES[name](place, scale):
                found.append((name, figure))
                console.print(f"  {figure.what}: {figure.ratio:.2f}x")
            console.print(f"  [dim]in {time.monotonic() - began:.0f} s[/dim]")
        server = place.postgres.version()
    console.print(_table(found))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{scale}.json"
    kept = json.loads(path.read_text())["figures"] if only and path.exists() else []
    figures = [each for each in kept if each["measure"] not in only]
    figures += [{"measure": name, **figure.as_json()} for name, figure in found]
    path.write_text(json.dumps({"machine": _machine(server), "figures": figures}, indent=1) + "\n")
    console.print(f"written to {path.relative_to(Path.cwd())}")
    sys.exit(any(figure.met is False for _, figure in found))


def _table(found: list[tuple[str, Figure]]) -> Table:
    table = Table("measured", "against", "ours", "theirs", "ratio", "goal", "met")
    for _, figure in found:
        met = {True: "yes", False: "no", None: ""}[figure.met]
        table.add_row(
            figure.what, figure.against, f"{figure.ours:.3g} {figure.unit}", f"{figure.theirs:.3g} {figure.unit}",
            f"{figure.ratio:.2f}x", figure.goal, met,
        )  # fmt: skip
    return table


def _machine(server: str) -> dict[str, object]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "python": platform.python_version(),
        "postgres": server,
    }


if __name__ == "__main__":
    main()
