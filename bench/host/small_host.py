"""What a small host pays: how soon a command answers, and the memory of all processes, at rest and after work."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg

from bench.figures import Figure
from bench.ground import Ground, memory_bytes
from bench.overhead import delete, seed, unfinished
from demo.lethe import ROOT, Lethe, environment
from demo.processes import wait_until
from shared.settings import Settings

_ROUNDS = 5
_BUDGET_MB = 500
_DELETIONS = {"small": 40, "medium": 100, "large": 200}
_CALLERS = 8
# A small process that starts the one that is measured: a child's peak begins with that of its parent.
_LAUNCHER = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
took, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def measure(ground: Ground, scale: str) -> Iterator[Figure]:
    """Commands first, with nothing beside them; then all processes of the Procfile."""
    deployment = ground.deployment()
    with ground.gateway(deployment.database_url) as gateway:
        settings = ground.settings(deployment, gateway)
        yield from _commands(settings)
        with ground.lethe(settings) as lethe:
            at_rest = _megabytes(lethe)
            yield _memory("memory of all processes, started", at_rest)
            _work(lethe, seed(deployment, "work", _DELETIONS[scale]))
            worked = _megabytes(lethe)
            yield _memory(f"memory of all processes after {_DELETIONS[scale]} deletions", worked)


def _commands(settings: Settings) -> Iterator[Figure]:
    lethe, app = [sys.executable, "-m", "cli"], [sys.executable, "-c", "import os, api.app; os._exit(0)"]
    for what, argv, budget in (
        ("lethe --help", [*lethe, "--help"], 0.25),
        ("lethe list", [*lethe, "list"], 0.7),
        ("import of the API", app, 1.0),
    ):
        took, used, _ = _run(argv, settings)
        yield Figure(what, "budget", took, budget, "s", at_most=1, notes={"processor_seconds": used})
    yield Figure("memory of lethe --help", "budget", _run([*lethe, "--help"], settings)[2], 50, "MB", at_most=1)


def _run(argv: list[str], settings: Settings) -> list[float]:
    """Seconds, seconds of a processor, and megabytes: the middle of some rounds, without the first, which warms up."""
    env = {"PATH": "/usr/bin:/bin", **environment(settings)}
    rounds = [
        json.loads(subprocess.check_output([sys.executable, "-c", _LAUNCHER, *argv], env=env, cwd=ROOT))
        for _ in range(_ROUNDS + 1)
    ]
    return [statistics.median(each) for each in zip(*rounds[1:], strict=True)]


def _megabytes(lethe: Lethe) -> dict[str, float]:
    return {name: round(memory_bytes(process.pid) / 1e6) for name, process in lethe.processes.items()}


def _memory(what: str, each: dict[str, float]) -> Figure:
    return Figure(what, "budget", sum(each.values()), _BUDGET_MB, "MB", at_most=1, notes={"each": each})


def _work(lethe: Lethe, names: list[str]) -> None:
    with ThreadPoolExecutor(_CALLERS) as callers:
        list(callers.map(lambda name: delete(lethe, name, at_once=True), names))
    with psycopg.connect(lethe.settings.database_url.get_secret_value(), autocommit=True) as own:
        wait_until(lambda: unfinished(own) == 0, 300, "all deletions")
