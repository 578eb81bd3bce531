"""Scale out: 1, 2 and 4 worker processes, many small deletions and one giant; and what the giant costs in memory."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg

from bench.figures import Figure
from bench.ground import Ground, resident_bytes
from bench.overhead import delete, seed, unfinished
from bench.rows import seed_tenant
from demo.evolution.deployment import Deployment
from demo.lethe import Lethe
from demo.processes import wait_until

_SMALL = {"small": 10, "medium": 40, "large": 100}
_GIANT = {"small": 20_000, "medium": 200_000, "large": 500_000}
_MEMORY = {"small": 20_000, "medium": 500_000, "large": 2_000_000}
_CALLERS = 8


def measure(ground: Ground, scale: str) -> Iterator[Figure]:
    """Seconds until all are gone, against one process; and memory after a small and after a large one."""
    used = dict[str, dict[str, float]]()
    with _running(ground, 1) as (deployment, lethe):
        for name in ("first", "small"):  # what the first one brings in is no growth
            _delete_one(deployment, lethe, name, 10_000)
        used["small"] = _memory(lethe)
        seconds = {1: _race(deployment, lethe, scale)}
        if _MEMORY[scale] > _GIANT[scale]:
            _delete_one(deployment, lethe, "large", _MEMORY[scale])
        used["large"] = _memory(lethe)
    for number in (2, 4):
        with _running(ground, number) as (deployment, lethe):
            seconds[number] = _race(deployment, lethe, scale)
        what = f"{_SMALL[scale]} small and a giant, {number} processes"
        yield Figure(what, "one process", seconds[number], seconds[1], "s")
    for who in ("web", "worker"):
        yield Figure(
            f"memory of {who} after {_MEMORY[scale]:,} messages", "after 10,000", used["large"][who],
            used["small"][who], "MB", at_most=1.1,
        )  # fmt: skip


@contextmanager
def _running(ground: Ground, processes: int) -> Iterator[tuple[Deployment, Lethe]]:
    deployment = ground.deployment()
    with ground.gateway(deployment.database_url) as gateway:
        settings = ground.settings(deployment, gateway, worker_concurrency=processes)
        with ground.lethe(settings) as lethe:
            yield deployment, lethe


def _race(deployment: Deployment, lethe: Lethe, scale: str) -> float:
    """Seconds until a giant and many small ones, all asked for at once, are gone."""
    seed_tenant(deployment, "giant", _GIANT[scale])
    names = ["giant", *seed(deployment, "small", _SMALL[scale])]
    began = time.perf_counter()
    with ThreadPoolExecutor(_CALLERS) as callers:
        list(callers.map(lambda name: delete(lethe, name, at_once=True), names))
    _wait(lethe)
    return time.perf_counter() - began


def _delete_one(deployment: Deployment, lethe: Lethe, name: str, messages: int) -> None:
    seed_tenant(deployment, name, messages)
    delete(lethe, name, at_once=True)
    _wait(lethe)


def _wait(lethe: Lethe) -> None:
    with psycopg.connect(lethe.settings.database_url.get_secret_value(), autocommit=True) as own:
        wait_until(lambda: unfinished(own) == 0, 1200, "all deletions")


def _memory(lethe: Lethe) -> dict[str, float]:
    """Megabytes of each process and its children."""
    return {who: resident_bytes(lethe.processes[who].pid) / 1e6 for who in ("web", "worker")}
