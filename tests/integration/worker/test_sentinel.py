"""Everything that uses Lethe's Redis finds its primary through Sentinel."""

import json
from collections.abc import Callable, Iterator

import pytest

from demo.evolution.seed import seed_instance
from demo.ports import server_port
from demo.processes import wait_until
from shared.deletions import lock
from tests.integration.shell import lethe
from tests.integration.worker.test_flower import answers
from tests.redis_pair import SENTINEL_PASSWORD, SERVICE, RedisPair
from tests.system import System


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisPair]:
    """Servers and Sentinels with passwords."""
    started = RedisPair.start(tmp_path_factory.mktemp("pair"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System], pair: RedisPair) -> Iterator[System]:
    """Locks, wake-ups, limits, messages and Evolution's cache behind Sentinel; the tests of failover stop nothing."""
    made = make_system(
        redis_url=pair.url(1), broker_url=pair.url(2), cache_url=pair.url(3), limit_per_minute=2, wait_seconds=40
    )
    made.start("web", "worker")
    yield made
    made.stop()


def test_a_deletion_runs(system: System, pair: RedisPair) -> None:
    """The answer came by a wake-up, the message by the broker; the third call in a minute is one too many."""
    for name in ("first", "second", "third"):
        seed_instance(system.deployment, name)

    answers = [system.delete(name) for name in ("first", "second", "third")]
    ready = system.send("GET", "/health/ready", key=None)

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert ready.status == 200
    with pair.client(0) as primary:
        used = primary.info("keyspace")
    assert {"db1", "db2"} <= used.keys()


def test_the_lock_is_on_the_primary(system: System) -> None:
    """A second taker is refused."""
    services = system.make_services()
    ids = ("00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b")

    taken = [lock.take(services.redis, "an instance", each, 5) for each in ids]  # type: ignore[arg-type]

    assert taken == [True, False]


def test_doctor_names_the_primary(system: System, pair: RedisPair) -> None:
    """And the form in use."""
    found = {row["part"]: row for row in json.loads(lethe(system, "doctor", "--json").stdout)}

    assert f'Sentinel names 127.0.0.1:{pair.servers[0].port} as the primary of "{SERVICE}"' in found["redis"]["says"]
    assert {found[part]["verdict"] for part in ("redis", "broker", "workers")} == {"ok"}
    assert found["cache"]["verdict"] != "broken"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (SERVICE, "other", f'knows no service "other", but "{SERVICE}"'),
        ("sentinel%20word", "wrong", "does not answer (AuthenticationError)"),
    ],
)
def test_doctor_says_why_sentinel_names_no_primary(
    system: System, pair: RedisPair, old: str, new: str, says: str
) -> None:
    """A service that it does not know, or a wrong password of its own; no password is shown."""
    answer = lethe(system, "doctor", "--json", LETHE_REDIS_URL=pair.url(1).replace(old, new))

    found = [row for row in json.loads(answer.stdout) if row["part"] == "redis"]
    assert len(found) == 1
    assert found[0]["verdict"] == "broken"
    assert says in found[0]["says"]
    assert SENTINEL_PASSWORD not in answer.stdout + answer.stderr


def test_flower_finds_the_queue(system: System) -> None:
    """Of the broker behind Sentinel; no password of Sentinel's is on its pages."""
    port = server_port()
    url = f"http://127.0.0.1:{port}"
    system.start("flower", env={"FLOWER_PORT": str(port), "FLOWER_UNAUTHENTICATED_API": "true"})
    wait_until(lambda: answers(f"{url}/healthcheck"), 30, "Flower", process=system.processes["flower"])

    assert answers(f"{url}/broker")
    assert SENTINEL_PASSWORD not in system.processes["flower"].tail()
