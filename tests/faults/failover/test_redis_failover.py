"""Redis fails over while a giant is erased: no deletion is lost, and none runs twice."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from demo.processes import wait_until
from shared.deletions import lock
from tests.faults.scene import PLENTY_SECONDS, Scene, freeze, make_fast
from tests.faults.test_servers_killed import SMALL_SLICES, ordered, seed_two, wait_for_rows
from tests.redis_pair import RedisPair


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisPair]:
    """Servers and Sentinels with passwords."""
    started = RedisPair.start(tmp_path_factory.mktemp("pair"))
    yield started
    started.servers[0].kill()  # a frozen one does not stop
    started.stop()


@pytest.mark.parametrize("fault", ["killed", "killed, and the replica lags", "frozen"])
def test_sentinel_promotes_the_replica(make_scene: Callable[..., Scene], pair: RedisPair, fault: str) -> None:
    """What the replica did not have is published again; the lock is taken again; a duplicate is refused throughout."""
    scene = make_scene(redis_url=pair.url(1), **SMALL_SLICES)
    seed_two(scene, slow_seconds=120)
    scene.seed("waiting")
    scene.start("web", "beat", "worker")
    if "lags" in fault:
        pair.stop_replication()
    scene.order("slow")
    wait_for_rows(scene, "slow")
    scene.order("waiting")
    with scene.figures.recovery(f"Redis failed over: {fault}"):
        scene.figures.kills += 1
        if fault == "frozen":  # like a host that is gone, it closes no connection
            freeze(pair.servers[0].pid)
        else:
            pair.kill_host()
        during = scene.system.delete("slow", Prefer="respond-async")
        wait_until(lambda: ordered(scene, "small"), PLENTY_SECONDS, "the API to accept again")
        duplicate = scene.system.delete("slow", Prefer="respond-async")
        services, slow = scene.system.make_services(), scene.instances["slow"].id
        wait_until(lambda: not lock.take(services.redis, slow, uuid4(), 0.1), PLENTY_SECONDS, "the owner's lock")
        make_fast(scene)
        scene.wait_for_end(seconds=2 * PLENTY_SECONDS)  # a worker needs a minute to give a silent broker up

    assert pair.client(1).info("replication")["role"] == "master"
    assert during.status in (409, 500, 503)
    assert (duplicate.status, duplicate.body["deletionId"]) == (409, scene.deletions["slow"])
    scene.assert_all_gone()
    scene.assert_never_twice()
    assert scene.own("SELECT sum(failures) FROM steps") == [(0,)]
    assert scene.own("SELECT count(*) FROM deletions") == [(3,)]
