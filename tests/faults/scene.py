"""A system with instances to be erased and others to be kept, and what must be true of it in the end."""

import os
import shlex
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from celery.utils.nodenames import gethostname
from psycopg import sql

from demo.evolution.census import census, fingerprint
from demo.evolution.deployment import Deployment, SeededInstance
from demo.evolution.seed import seed_global, seed_instance
from demo.processes import Process, wait_until
from shared.servers import redis
from tests.faults.figures import Figures
from tests.system import PROCFILE, System, environment
from tests.warm_start import start_module

PLENTY_SECONDS = 60  # other tests may run on the same cores
MODULES = {"worker": "tests.faults.workers.watched", "ambushed": "tests.faults.workers.ambushed"}


@dataclass
class Scene:
    """One system under attack."""

    system: System
    figures: Figures
    instances: dict[str, SeededInstance] = field(default_factory=dict)
    deletions: dict[str, str] = field(default_factory=dict)
    _rest: dict[str, str] = field(default_factory=dict)  # what has to stay

    def __post_init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=self.system.folder))  # where watched workers leave their notes

    @property
    def deployment(self) -> Deployment:
        """Where the instances live."""
        return self.system.deployment

    def start(self, *names: str) -> None:
        """Start processes as the Procfile has them, only that workers are watched, or `ambushed`."""
        workers = {name: kind for name in names if (kind := name.rstrip("0123456789")) in MODULES}
        for name, kind in workers.items():
            command = PROCFILE["worker"].replace("worker.celery_tasks", MODULES[kind])
            module, *words = shlex.split(f"{command} --hostname {name}@%h")
            env = {**environment(self.system.settings), "FAULTS_FOLDER": str(self.folder)}
            log = self.system.folder / f"{name}.log"
            self.system.processes[name] = start_module(name, module, words, log=log, env=env)
        self.system.start(*(name for name in names if name not in workers))
        for name in workers:
            self._wait_for_worker(name)

    def _wait_for_worker(self, name: str) -> None:
        there = [f"{name}@{gethostname()}"]
        with self.system.make_services().celery as app:
            wait_until(
                lambda: bool(app.control.ping(there, timeout=1, limit=1)),
                PLENTY_SECONDS,
                name,
                process=self.process(name),
            )

    def process(self, name: str) -> Process:
        """A process that was started."""
        return self.system.processes[name]

    def kill(self, name: str) -> None:
        """SIGKILL its whole process group."""
        self.figures.kills += 1
        self.system.processes.pop(name).kill()

    def seed(self, *names: str, **options: Any) -> None:
        """Put instances there that are to be erased, known to every gateway, with a webhook of their own."""
        options = {"webhook_url": f"{self.system.receiver.url}/hook", **options}
        for name in names:
            self.instances[name] = seed_instance(self.deployment, name, **options)
            for gateway in self.system.gateways:
                gateway.connect(name, self.instances[name].id)

    def seed_neighbours(self) -> None:
        """Add instances that are not to be erased, and remember all that is theirs; call it before seed()."""
        if not self.tenant('SELECT id FROM "Instance"'):
            seed_global(self.deployment)
            for name in ("neighbour", "before", "a*"):
                seed_instance(self.deployment, name)
        self._rest = fingerprint(self.deployment)

    def order(self, *names: str) -> None:
        """Have deletions accepted, one after the other."""
        for name in names:
            answer = self.system.delete(name, Prefer="respond-async")
            assert answer.status == 202, answer.text
            self.deletions[name] = answer.body["response"]["deletionId"]

    def show(self, name: str) -> dict[str, Any]:
        """A deletion, as the API shows it."""
        return self.system.show(self.deletions[name])

    def step(self, name: str, step: str) -> dict[str, Any]:
        """One step of a deletion."""
        found: dict[str, Any] = next(shown for shown in self.show(name)["steps"] if shown["name"] == step)
        return found

    def wait_for_step(self, name: str, step: str, status: str = "running") -> None:
        """Wait until a step has this status."""
        wait_until(lambda: self.step(name, step)["status"] == status, PLENTY_SECONDS, f"{step} of {name} {status}")

    def wait_for_waiting(self, name: str) -> None:
        """Wait until the deletion was put off."""
        wait_until(lambda: self.show(name)["status"] == "waiting", PLENTY_SECONDS, f"{name} to wait")

    def wait_for_end(self, *names: str, seconds: float = PLENTY_SECONDS) -> None:
        """Wait until these deletions (by default all) have succeeded."""
        for name in names or tuple(self.deletions):
            shown = self.system.wait_for(self.deletions[name], "succeeded", "failed", "cancelled", seconds=seconds)
            assert shown["status"] == "succeeded", (name, shown["failed_step"], shown["reason"])
            self.figures.finished += 1

    def own(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement on Lethe's own database."""
        return run(self.system.settings.database_url.get_secret_value(), statement, *values)

    def tenant(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement on the tenant database."""
        return run(self.deployment.database_url, statement, *values)

    def assert_all_gone(self) -> None:
        """Nothing is left of the instances, everything else is as it was, each webhook came, no lock is held."""
        left = [
            f"{name}: {store} {kind}"
            for name, seeded in self.instances.items()
            for store, kinds in census(self.deployment, seeded.id, name).items()
            for kind, count in kinds.items()
            if count
        ]
        found = fingerprint(self.deployment)
        left += [f"beside: {entry}" for entry in found.keys() - self._rest.keys() - {"file:.trash/"}]
        left += [
            f"{name}: in the memory of {gateway.url}" for name in self.instances for gateway in self._holding(name)
        ]
        self.figures.left_overs += left
        damaged = [entry for entry, value in self._rest.items() if found.get(entry) != value]
        assert left == []
        assert damaged == []
        self.wait_until_told()
        for name in self.deletions:
            assert {step["status"] for step in self.show(name)["steps"]} == {"done"}, name
        self.wait_until_unlocked()

    def wait_until_told(self) -> None:
        """Wait until the webhook of every deletion was delivered."""

        def untold() -> set[str]:
            delivered = {received.headers.get("webhook-id", "") for received in self.system.receiver.received}
            return {f"{deletion_id}.instance" for deletion_id in self.deletions.values()} - delivered

        wait_until(lambda: not untold(), PLENTY_SECONDS, "all webhooks")

    def wait_until_unlocked(self) -> None:
        """Wait until no lock is held; the lock of a dead worker is free when its lease has run out."""
        with redis.connect(self.system.settings.redis_url.get_secret_value(), timeout_seconds=5) as client:
            held = [f"lethe:lock:{seeded.id}" for seeded in self.instances.values()]
            wait_until(lambda: not client.exists(*held), self.system.settings.stale_seconds + 10, "the locks to go")

    def double_runs(self) -> list[str]:
        """What the watched workers noted."""
        notes = self.folder / "double_runs"
        return notes.read_text().splitlines() if notes.exists() else []

    def assert_never_twice(self) -> None:
        """No two runs of one deletion at once, and none of a step that was done."""
        assert self.double_runs() == []

    def close(self, *names: str) -> None:
        """Kill what still runs (by default everything), and hand the notes over to the figures."""
        for name in names or tuple(self.system.processes):
            if process := self.system.processes.pop(name, None):
                process.kill()
        self.figures.double_runs += self.double_runs()

    def _holding(self, name: str) -> Sequence[Any]:
        return [gateway for gateway in self.system.gateways if name in gateway.sessions]


def run(url: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement, committed; its rows."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def make_slow(scene: Scene, name: str, seconds: float) -> None:
    """Let the erasure of the instance's messages take about this long, by a trigger that sleeps at every tenth row."""
    seeded = scene.instances[name]
    rows = scene.tenant('SELECT count(*) FROM "Message" WHERE "instanceId" = %s', seeded.id)[0][0]
    with psycopg.connect(scene.deployment.database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION sleep_a_little() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(TG_ARGV[0]::float); RETURN OLD; END'"
        )
        connection.execute(
            sql.SQL(
                'CREATE TRIGGER {} BEFORE DELETE ON "Message" FOR EACH ROW'
                ' WHEN (OLD."instanceId" = {} AND OLD."messageTimestamp" % 10 = 0)'
                " EXECUTE FUNCTION sleep_a_little({})"
            ).format(sql.Identifier(f"slow {seeded.id}"), sql.Literal(seeded.id), sql.Literal(str(10 * seconds / rows)))
        )


def make_fast(scene: Scene) -> None:
    """Let everything that was made slow go on at its own pace."""
    scene.tenant("DROP FUNCTION sleep_a_little() CASCADE")


def freeze(process_id: int) -> Callable[[], None]:
    """SIGSTOP one process; what it returns lets it go on."""
    os.kill(process_id, signal.SIGSTOP)
    return lambda: os.kill(process_id, signal.SIGCONT)
