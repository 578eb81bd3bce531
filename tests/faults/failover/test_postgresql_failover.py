"""PostgreSQL fails over while a giant is erased: what was acknowledged is there, and goes on on the new primary."""

import threading
from collections.abc import Callable, Iterator

import pytest

from demo.processes import wait_until
from demo.s3 import S3
from tests.faults.figures import Figures
from tests.faults.scene import PLENTY_SECONDS, Scene, make_fast
from tests.faults.test_servers_killed import SMALL_SLICES, ordered, rows_erased, seed_two, wait_for_rows
from tests.postgres_pair import PostgresPair
from tests.servers import RedisDatabases, Systems

CALLERS = 8


@pytest.fixture
def on_pair(
    redis_databases: RedisDatabases, s3_part: S3, tmp_path_factory: pytest.TempPathFactory, figures: Figures
) -> Iterator[Callable[..., tuple[Scene, PostgresPair]]]:
    """Make a scene with both databases on a pair of its own: on_pair(synchronous=True)."""
    pairs: list[PostgresPair] = []

    def make(*, synchronous: bool) -> tuple[Scene, PostgresPair]:
        pairs.append(PostgresPair.start(tmp_path_factory.mktemp("pair"), synchronous=synchronous))
        systems = Systems(redis_databases, pairs[-1], s3_part, tmp_path_factory.mktemp)
        made.append(Scene(systems.make(**SMALL_SLICES), figures))
        return made[-1], pairs[-1]

    made: list[Scene] = []
    yield make
    for scene, pair in zip(made, pairs, strict=True):
        scene.close()
        pair.stop()


def test_a_synchronous_standby_takes_over(on_pair: Callable[..., tuple[Scene, PostgresPair]]) -> None:
    """SIGKILL of the primary in the middle of a giant, while callers order: each 202 is kept, and erased once."""
    scene, pair = on_pair(synchronous=True)
    seed_two(scene, slow_seconds=120)
    callers = [f"caller {number}" for number in range(CALLERS)]
    scene.seed(*callers, messages=5)
    scene.start("web", "beat", "worker")
    scene.order("slow")
    wait_for_rows(scene, "slow")
    erased = rows_erased(scene, "slow")
    accepted: list[str] = []

    def call() -> None:
        for name in callers:
            if ordered(scene, name):
                accepted.append(name)

    caller = threading.Thread(target=call)
    caller.start()
    wait_until(lambda: bool(accepted), PLENTY_SECONDS, "the first acceptance")
    scene.figures.kills += 1
    with scene.figures.recovery("PostgreSQL failed over"):
        pair.fail_over()
        caller.join(PLENTY_SECONDS)
        promised = {name: scene.deletions[name] for name in accepted}
        for name in ("small", *callers):
            wait_until(lambda name=name: is_accepted(scene, name), PLENTY_SECONDS, f"{name} to be accepted")
        duplicate = scene.system.delete("slow", Prefer="respond-async")
        make_fast(scene)
        scene.wait_for_end()

    assert accepted
    assert {name: scene.deletions[name] for name in promised} == promised
    assert rows_erased(scene, "slow") >= erased > 0
    assert (duplicate.status, duplicate.body["deletionId"]) == (409, scene.deletions["slow"])
    scene.assert_all_gone()
    scene.assert_never_twice()
    assert scene.own("SELECT sum(failures) FROM steps") == [(0,)]
    assert scene.own("SELECT count(*), count(DISTINCT instance_id) FROM deletions") == [(CALLERS + 2, CALLERS + 2)]


def test_an_asynchronous_standby_forgets_the_last_deletion(
    on_pair: Callable[..., tuple[Scene, PostgresPair]],
) -> None:
    """One that succeeded meanwhile is unknown afterwards, and its rows are back; ordered again, they go."""
    scene, pair = on_pair(synchronous=False)
    scene.seed_neighbours()
    scene.seed("kept", "lost", messages=20)
    scene.start("web", "beat", "worker")
    scene.order("kept")
    scene.wait_for_end()
    pair.disconnect_standby()
    scene.order("lost")
    scene.wait_for_end("lost")
    forgotten = scene.deletions["lost"]
    scene.figures.kills += 1
    pair.fail_over()
    unknown = scene.system.call("GET", f"/deletions/{forgotten}")
    names = scene.tenant('SELECT name FROM "Instance" WHERE id = %s', scene.instances["lost"].id)
    with scene.figures.recovery("an asynchronous standby promoted"):
        wait_until(lambda: ordered(scene, "lost"), PLENTY_SECONDS, "the API to accept again")
        scene.wait_for_end()

    assert unknown.status_code == 404
    assert names == [("lost",)]
    assert scene.deletions["lost"] != forgotten
    scene.assert_all_gone()


def is_accepted(scene: Scene, name: str) -> bool:
    """Whether its deletion is there: the answer may have been lost with the primary; else order it."""
    kept = scene.own("SELECT id::text FROM deletions WHERE instance_id = %s", scene.instances[name].id)
    if kept:
        scene.deletions[name] = kept[0][0]
    return bool(kept) or ordered(scene, name)
