"""What Lethe adds to Celery: a small instance end to end, many that wait, and the API alone."""

import http.client
import secrets
import statistics
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import quote

import psycopg
from celery import Celery
from redis import Redis

from bench import bare
from bench.figures import Figure
from bench.ground import Ground
from bench.timing import timed
from demo.evolution.deployment import Deployment
from demo.evolution.seed import seed_instance
from demo.lethe import Lethe, environment
from demo.processes import Process, wait_until
from shared import celery_app
from shared.settings import Settings

_CALLERS = 8
_MANY = {"small": 10, "medium": 100, "large": 200}
_ONES = {"small": 10, "medium": 40, "large": 60}
_ACCEPTED = {"small": 30, "medium": 500, "large": 1000}


def measure(ground: Ground, scale: str) -> Iterator[Figure]:
    """One by one, many waiting, and only accepted."""
    deployment = ground.deployment()
    with ground.gateway(deployment.database_url) as gateway:
        settings = ground.settings(deployment, gateway)
        with ground.lethe(settings) as lethe, _bare_worker(ground, settings) as chains:
            yield from _one_by_one(deployment, lethe, chains, _ONES[scale])
            yield _many_waiting(deployment, lethe, chains, _MANY[scale])
            lethe.processes.pop("worker").stop(30)
            yield _accepted(deployment, lethe, chains, _ACCEPTED[scale])


class Chains:
    """Publishes bare chains and waits for their end."""

    def __init__(self, settings: Settings, app: Celery) -> None:
        self.redis = Redis.from_url(settings.broker)
        self.app = app

    def publish(self) -> str:
        """Publish one; its token."""
        token = secrets.token_hex(8)
        bare.publish(self.app, token)
        return token

    def wait(self, token: str) -> None:
        """Wait for its end."""
        if self.redis.blpop([f"{bare.DONE}:{token}"], timeout=60) is None:
            raise TimeoutError(token)


@contextmanager
def _bare_worker(ground: Ground, settings: Settings) -> Iterator[Chains]:
    app = celery_app.create(settings)
    app.conf.task_default_queue = bare.QUEUE
    argv = [sys.executable, "-m", "celery", "--app", "bench.bare_worker", "worker", "--loglevel", "WARNING"]
    argv += ["--without-gossip", "--without-mingle", "--hostname", "bare@%h"]
    process = Process.start("bare", argv, log=ground.folder / "bare.log", env=environment(settings))
    chains = Chains(settings, app)
    try:
        token = chains.publish()
        wait_until(lambda: bool(chains.redis.lpop(f"{bare.DONE}:{token}")), 30, "bare worker", process=process)
        yield chains
    finally:
        process.stop()


def delete(lethe: Lethe, name: str, *, at_once: bool = False) -> int:
    """The documented call by a client that costs little; the answer's status."""
    host, port = lethe.settings.bind.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    headers = {"apikey": lethe.admin_key} | ({"Prefer": "respond-async"} if at_once else {})
    connection.request("DELETE", f"/instance/delete/{quote(name, safe='')}", headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def seed(deployment: Deployment, prefix: str, number: int) -> list[str]:
    """Small instances: 20 messages, 40 updates, some of everything else."""
    return [seed_instance(deployment, f"{prefix} {at}").name for at in range(number)]


# How long confirm waited for the name to be free: the grace period, without the steps that ran meanwhile.
_WAITED = """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY coalesce(
    (confirm.notes ->> 'quiet_seconds')::float,
    greatest(0, (deregister.notes ->> 'quiet_seconds')::float
        - extract(epoch FROM confirm.started_at - deregister.finished_at)::float), 0))
FROM deletions d
JOIN steps deregister ON deregister.deletion_id = d.id AND deregister.name = 'deregister'
JOIN steps confirm ON confirm.deletion_id = d.id AND confirm.name = 'confirm'
WHERE instance_name LIKE 'one %'"""


def _one_by_one(deployment: Deployment, lethe: Lethe, chains: Chains, number: int) -> Iterator[Figure]:
    ours, theirs = [], []
    for at, name in enumerate(seed(deployment, "one", number + 2)):
        took = timed(lambda name=name: _expect(200, delete(lethe, name)))  # type: ignore[misc]
        floor = timed(lambda: chains.wait(chains.publish()))
        if at >= 2:  # the first ones open connections
            ours.append(took)
            theirs.append(floor)
    with psycopg.connect(lethe.settings.database_url.get_secret_value()) as own:
        row = own.execute(_WAITED).fetchone()
    assert row
    took, floor = statistics.median(ours) * 1000, statistics.median(theirs) * 1000
    yield Figure("a small instance, end to end, p50", "bare chain of 7 tasks", took, floor, "ms", at_most=3)
    without = took - float(row[0]) * 1000
    yield Figure("the same without the wait for the name", "bare chain of 7 tasks", without, floor, "ms")


def _many_waiting(deployment: Deployment, lethe: Lethe, chains: Chains, number: int) -> Figure:
    names = seed(deployment, "many", number)

    def run_bare() -> None:
        for token in [chains.publish() for _ in range(number)]:
            chains.wait(token)

    def our_rate() -> float:
        with ThreadPoolExecutor(_CALLERS) as callers:
            list(callers.map(lambda name: _expect(202, delete(lethe, name, at_once=True)), names))
        with psycopg.connect(lethe.settings.database_url.get_secret_value(), autocommit=True) as own:
            wait_until(lambda: unfinished(own) == 0, 120, "all deletions")
            row = own.execute(
                "SELECT extract(epoch FROM max(finished_at) - min(accepted_at))::float FROM deletions"
                " WHERE instance_name LIKE 'many %'"
            ).fetchone()
        assert row
        return number / float(row[0])

    before = number / timed(run_bare)
    ours = our_rate()
    theirs = (before + number / timed(run_bare)) / 2
    return Figure(f"{number} small instances waiting", "bare chains", ours, theirs, "a second", at_least=0.3)


def _accepted(deployment: Deployment, lethe: Lethe, chains: Chains, number: int) -> Figure:
    names = seed(deployment, "accepted", number)

    def bare_rate() -> float:
        tokens = list[str]()
        took = timed(lambda: tokens.extend(chains.publish() for _ in range(number)))
        for token in tokens:  # so that nobody runs them while the other rate is measured
            chains.wait(token)
        return number / took

    def accept_all() -> None:
        with ThreadPoolExecutor(_CALLERS) as callers:
            list(callers.map(lambda name: _expect(202, delete(lethe, name, at_once=True)), names))

    before = bare_rate()
    ours = number / timed(accept_all)
    return Figure("accepted by the API alone", "publishing bare chains", ours, (before + bare_rate()) / 2, "a second",
                  at_least=0.5)  # fmt: skip


def unfinished(own: psycopg.Connection) -> int:
    """How many deletions have not come to an end."""
    row = own.execute("SELECT count(*) FROM deletions WHERE finished_at IS NULL").fetchone()
    assert row
    return int(row[0])


def _expect(status: int, found: int) -> None:
    if found != status:
        raise AssertionError(f"status {found} instead of {status}")
