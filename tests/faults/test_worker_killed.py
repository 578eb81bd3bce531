"""SIGKILL of the worker's whole process group at every point of every step: nothing is lost, nothing is left."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from demo.processes import wait_until
from tasks import pipeline
from tests.dangling import dangling_references
from tests.faults.scene import PLENTY_SECONDS, Scene

RECOVERY_SECONDS = 45  # takes about 10 on an idle machine: stale_seconds, a round of the reconciler, the work


@pytest.mark.parametrize("moment", ["before", "middle", "after", "committed", "published"])
def test_a_worker_that_dies_in_each_step(scene: Scene, moment: str) -> None:
    """Seven deletions, each stopped in another step by one kill; a new worker finishes them all."""
    points = [f"{moment}-{step}" for step in pipeline.NAMES]
    scene.seed_neighbours()
    scene.seed(*points)
    scene.start("ambushed")
    # First the one that a pass over all keys for the others would serve, so that its own had no middle any more.
    shared_pass = f"{moment}-purge_cache"
    scene.order(shared_pass)
    _wait_until_reached(scene, shared_pass)
    scene.order(*(point for point in points if point != shared_pass))
    _wait_until_reached(scene, *points)
    scene.figures.interrupted += len(points)

    scene.kill("ambushed")

    with scene.figures.recovery(f"worker killed {moment}"):
        scene.start("worker")
        scene.wait_for_end(seconds=RECOVERY_SECONDS)
    scene.assert_all_gone()
    scene.assert_never_twice()
    assert scene.own("SELECT sum(failures) FROM steps") == [(0,)]


def _wait_until_reached(scene: Scene, *points: str) -> None:
    def missing() -> set[str]:
        return {point for point in points if not (scene.folder / f"{point}.reached").exists()}

    wait_until(lambda: not missing(), PLENTY_SECONDS, f"all of {', '.join(points)} to be reached")


MESSAGES = 100_000
WRITE = (
    'INSERT INTO "Message" (id, key, "messageType", message, source, "messageTimestamp", "instanceId")'
    " SELECT 'busy ' || gen_random_uuid(), '{}', 'conversation', '{}', 'android', 1, id FROM \"Instance\""
    " WHERE name = 'neighbour'"
)


@contextmanager
def _busy_neighbour(scene: Scene) -> Iterator[None]:
    """Another instance whose server writes all the time; what it wrote is removed in the end."""
    over = threading.Event()

    def write() -> None:
        with psycopg.connect(scene.deployment.database_url, autocommit=True) as connection:
            while not over.wait(0.005):
                connection.execute(WRITE)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            yield
        finally:
            over.set()
            writing.result()
    scene.tenant("DELETE FROM \"Message\" WHERE id LIKE 'busy %'")


def test_a_worker_that_dies_while_many_rows_go_without_triggers(scene: Scene) -> None:
    """The triggers are off for one transaction at a time: nothing dangles, and each row goes once."""
    scene.seed_neighbours()
    scene.seed("giant", messages=MESSAGES, updates_per_message=1)
    giant = scene.instances["giant"].id
    scene.start("worker")
    with _busy_neighbour(scene):
        scene.order("giant")
        wait_until(lambda: 0 < _messages(scene, giant) < MESSAGES, PLENTY_SECONDS, "the first messages to go")
        scene.kill("worker")
        left, dangling = _messages(scene, giant), dangling_references(scene.deployment.database_url)
        scene.start("worker")
        scene.wait_for_end()

    assert (0 < left < MESSAGES, dangling) == (True, {})
    assert dangling_references(scene.deployment.database_url) == {}
    off, on = _triggers(scene, "giant")
    assert ({"Message", "MessageUpdate"} - off, on) == (set(), {})
    scene.assert_all_gone()
    scene.assert_never_twice()


def _messages(scene: Scene, instance_id: str) -> int:
    ((found,),) = scene.tenant('SELECT count(*) FROM "Message" WHERE "instanceId" = %s', instance_id)
    return int(found)


def _triggers(scene: Scene, name: str) -> tuple[set[str], dict[str, str]]:
    """As the receipt says: the tables that went without, and why others did not."""
    tables = "jsonb_path_query_first(CAST(document AS jsonb), '$.**.rowTriggers')"
    query = f"SELECT {tables} FROM receipts WHERE deletion_id = %s"
    wait_until(lambda: bool(scene.own(query, scene.deletions[name])), PLENTY_SECONDS, "the receipt")
    ((found,),) = scene.own(query, scene.deletions[name])
    return set(found["off"]), found["on"]
