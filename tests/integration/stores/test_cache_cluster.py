"""A cache in cluster mode: one node with all keys is as good as a server, one with a part of them is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import RedisError

from demo.binaries import redis_binary
from demo.ports import server_port
from demo.processes import Process, wait_until
from shared.errors import RequirementNotMet
from shared.evolution.cache import rehearsal
from shared.evolution.cache.cache import Cache
from shared.settings import PREFIX
from tests.integration.shell import lethe
from tests.system import System

SLOTS = 16_384


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Callable[[int, int], Redis]]:
    """Start a node for these slots: node(first, last)."""
    started: list[tuple[Process, Redis, int]] = []

    def start(first: int, last: int) -> Redis:
        port, bus, folder = server_port(), server_port(), tmp_path / str(first)
        folder.mkdir()
        options = {"port": port, "bind": "127.0.0.1", "dir": folder, "cluster-enabled": "yes", "cluster-port": bus}
        argv = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        process = Process.start(f"node{first}", [redis_binary(), *argv, "--save", ""], log=folder / "log")
        client = Redis(port=port, socket_timeout=2)
        wait_until(lambda: answers(client), 20, "Redis", process=process)
        client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)  # type: ignore[no-untyped-call]
        for _, other, other_bus in started:
            meeting = ("127.0.0.1", other.connection_pool.connection_kwargs["port"], other_bus)
            client.execute_command("CLUSTER MEET", *meeting)  # type: ignore[no-untyped-call]
        started.append((process, client, bus))
        return client

    yield start
    for process, client, _ in started:
        client.close()
        process.stop()


def answers(client: Redis) -> bool:
    """Whether it takes commands."""
    try:
        return bool(client.ping())
    except RedisError:
        return False


def wait_until_whole(client: Redis) -> None:
    """Until every slot has a node."""

    def is_whole() -> bool:
        return "'cluster_state': 'ok'" in str(client.execute_command("CLUSTER INFO"))  # type: ignore[no-untyped-call]

    wait_until(is_whole, 30, "the cluster")


def test_one_node_with_all_keys_is_enough(node: Callable[[int, int], Redis]) -> None:
    """Though it takes no command on keys of several hash slots."""
    client = node(0, SLOTS - 1)
    wait_until_whole(client)
    cache = Cache(client, "evolution-cache")
    keys = [f"evolution-cache:baileys:some-id_{number}_3" for number in range(20)]
    for key in (*keys, "evolution-cache:baileys:other-id_1_3"):
        client.set(key, "x")

    rehearsal.rehearse(cache)
    mine, _ = cache.by_id("some-id", lambda *_: set())
    removed = sum(cache.unlink(mine))

    assert removed == 20
    assert client.dbsize() == 1


def test_a_node_that_has_a_part_of_the_keys_is_refused(node: Callable[[int, int], Redis]) -> None:
    """By one sentence, before anything is removed."""
    client = node(0, 8_191)
    node(8_192, SLOTS - 1)
    wait_until_whole(client)

    with pytest.raises(RequirementNotMet, match=r"the cache is a Redis Cluster.*#redis"):
        rehearsal.rehearse(Cache(client, "evolution-cache"))


def test_doctor_says_that_lethes_own_redis_is_in_cluster_mode(
    node: Callable[[int, int], Redis], make_system: Callable[..., System]
) -> None:
    """Its messages and locks are keys of several hash slots."""
    client = node(0, SLOTS - 1)
    wait_until_whole(client)
    url = SecretStr(f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0")

    told = lethe(make_system(), "doctor", **{f"{PREFIX}REDIS_URL": url.get_secret_value()}).stdout

    assert "redis: is a node of a Redis Cluster" in told
