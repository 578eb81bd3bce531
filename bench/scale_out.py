"""Scale out: 1, 2 and 4 worker processes, many small deletions and one giant; and what the giant costs in memory."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg

from bench.figures import Figure
from bench.ground import Ground, resident_bytes
from bench.overhead import delete, seed
from bench.rows import seed_tenant
from demo.lethe import Lethe
from demo.processes import wait_until

_SMALL = {"small": 10, "medium": 40, "large": 100}
_GIANT = {"small": 10_000, "medium": 200_000, "large": 500_000}
_MEMORY = {"small": 30_000, "medium": 500_000, "large": 2_000_000}
_CALLERS = 8


def measure(ground: Ground, scale: str) -> Iterator[Figure]:
    """Seconds until all are gone, against one process; then memory after a small and after a large one."""
    seconds = {number: _all_gone(ground, scale, number) for number in (1, 2, 4)}
    for number in (2, 4):
        what = f"{_SMALL[scale]} small and a giant, {number} processes"
        yield Figure(what, "one process", seconds[number], seconds[1], "s")
    yield from _memory(ground, scale)


def _all_gone(ground: Ground, scale: str, processes: int) -> float:
    deployment = ground.deployment()
    with ground.gateway(deployment.database_url) as gateway:
        settings = ground.settings(deployment, gateway, worker_concurrency=processes)
        seed_tenant(deployment, "giant", _GIANT[scale])
        names = ["giant", *seed(deployment, "small", _SMALL[scale])]
        with ground.lethe(settings) as lethe:
            began = time.perf_counter()
            with ThreadPoolExecutor(_CALLERS) as callers:
                list(callers.map(lambda name: delete(lethe, name, at_once=True), names))
            _wait(lethe, len(names))
            return time.perf_counter() - began


def _wait(lethe: Lethe, number: int) -> None:
    with psycopg.connect(lethe.settings.database_url.get_secret_value(), autocommit=True) as own:

        def all_over() -> bool:
            row = own.execute("SELECT count(*) FROM deletions WHERE status = 'succeeded'").fetchone()
            return bool(row and row[0] >= number)

        wait_until(all_over, 600, "all deletions")


def _memory(ground: Ground, scale: str) -> Iterator[Figure]:
    deployment = ground.deployment()
    with ground.gateway(deployment.database_url) as gateway:
        settings = ground.settings(deployment, gateway, worker_concurrency=1)
        for name, messages in (("first", 10_000), ("small", 10_000), ("large", _MEMORY[scale])):
            seed_tenant(deployment, name, messages)
        with ground.lethe(settings) as lethe:
            used = {}
            for at, name in enumerate(("first", "small", "large"), 1):
                delete(lethe, name, at_once=True)
                _wait(lethe, at)
                used[name] = {who: resident_bytes(lethe.processes[who].pid) / 1e6 for who in ("web", "worker")}
    for who in ("web", "worker"):
        yield Figure(
            f"memory of {who} after {_MEMORY[scale]:,} messages", "after 10,000", used["large"][who],
            used["small"][who], "MB", at_most=1.1,
        )  # fmt: skip
