"""Lethe's own Redis answers, and refuses to write: no process ends, and each says what the server said."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis as Client

from demo.evolution.seed import seed_instance
from demo.parts import Redis
from demo.processes import wait_until
from tests.system import System

PLENTY_SECONDS = 60
SAYS = {
    "OOM": "command not allowed when used memory > 'maxmemory'",
    "NOREPLICAS": "Not enough good replicas to write",
    "READONLY": "You can't write against a read only replica",
    "MISCONF": "configured to save RDB snapshots, but it's currently unable to persist",
}


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System], tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system with a Redis of its own."""
    redis = Redis.start(tmp_path_factory.mktemp("refusing"))
    made = make_system(redis_url=redis.url, broker_url=redis.url, wait_seconds=40)
    made.start("web", "worker", "beat")
    yield made
    made.stop()
    redis.stop()


@contextmanager
def refusing(client: Client, code: str) -> Iterator[None]:
    """Bring the server to refuse every write with this code word."""
    before, after = {
        "OOM": ({"maxmemory": "1"}, {"maxmemory": "0"}),
        "NOREPLICAS": ({"min-replicas-to-write": "1"}, {"min-replicas-to-write": "0"}),
        "READONLY": ({}, {}),
        "MISCONF": ({"save": "3600 1"}, {"save": ""}),
    }[code]
    in_the_way = Path(client.config_get("dir")["dir"], client.config_get("dbfilename")["dbfilename"], "in the way")
    for name, value in before.items():
        client.config_set(name, value)
    if code == "READONLY":
        client.replicaof("127.0.0.1", 1)
    if code == "MISCONF":  # a file cannot take the place of a folder
        in_the_way.mkdir(parents=True)
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", 20, "a save that fails")
    try:
        yield
    finally:
        if code == "READONLY":
            client.replicaof("NO", "ONE")
        if code == "MISCONF":
            in_the_way.rmdir()
            in_the_way.parent.rmdir()
            client.config_set("save", "")
            client.bgsave()
        for name, value in after.items():
            client.config_set(name, value)


@pytest.mark.parametrize("code", SAYS)
def test_every_process_outlives_a_redis_that_refuses_writes(system: System, code: str) -> None:
    """Not ready, calls get 503 with the server's words, the worker lives; afterwards deletions succeed."""
    seed_instance(system.deployment, f"refused {code}")

    with Client.from_url(system.settings.redis_url.get_secret_value(), decode_responses=True) as client:
        with refusing(client, code):
            tries = failed_connections(system)
            refused = system.delete(f"refused {code}")
            ready = system.send("GET", "/health/ready", key=None)
            if code in ("NOREPLICAS", "READONLY"):  # refuse what a worker waits with; the other two only what stores
                wait_until(lambda: failed_connections(system) > tries, PLENTY_SECONDS, "the worker to connect anew")
        lives = {name: process.is_running() for name, process in system.processes.items()}
        deleted = system.delete(f"refused {code}")

    assert lives == {"web": True, "worker": True, "beat": True}
    assert (refused.status, refused.headers["Retry-After"]) == (503, "30")
    assert refused.body["error"] is True
    assert refused.body["message"].startswith("Lethe's Redis refuses for now: ")
    assert SAYS[code] in refused.body["message"]
    assert refused.body["message"].endswith(f"(Redis {code})")
    assert ready.status == 503
    assert {name for name, state in ready.body["checks"].items() if f"(Redis {code})" in state} == {"redis", "broker"}
    assert (deleted.status, deleted.body["response"]["message"]) == (200, "Instance deleted")


def failed_connections(system: System) -> int:
    """How often the worker has tried to connect, and could not."""
    return (system.folder / "worker.log").read_text().count("Cannot connect to redis")
