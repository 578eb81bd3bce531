"""An instance without a row that a gateway's memory still holds: it can be deleted, under the same rights."""

from collections.abc import Callable, Iterator

import pytest

from demo.evolution import cache
from demo.evolution.census import fingerprint
from demo.evolution.seed import seed_instance
from shared.database.enums import Role
from tests.integration.keyring import make_key
from tests.system import Answer, System


@pytest.fixture(scope="module")
def running(make_system: Callable[..., System]) -> Iterator[System]:
    """Two gateways, and everything that Lethe runs."""
    system = make_system(gateways=2)
    system.start("web", "worker", "beat")
    yield system
    system.close()


def remember(system: System, name: str) -> None:
    """Let the second gateway hold an instance whose row is gone, with what is kept by its name."""
    seeded = seed_instance(system.deployment, name)
    system.gateways[1].connect(name, seeded.id)
    with system.deployment.connect() as connection:
        connection.execute('DELETE FROM "Instance" WHERE id = %s', (seeded.id,))


def named(system: System, name: str) -> list[bytes]:
    """The cache keys that are kept by this name."""
    with system.deployment.cache() as client:
        return [key.encode() for key in cache.chatwoot_keys(system.deployment, name) if client.exists(key)]


def test_it_is_dropped_with_what_is_kept_by_its_name(running: System) -> None:
    """The documented 200; afterwards it is unknown, the name can be created, and its neighbours are whole."""
    seed_instance(running.deployment, "beside")
    before = fingerprint(running.deployment)
    remember(running, "remembered")

    ended = running.delete("remembered")
    again = running.delete("remembered")

    assert (ended.status, ended.body["response"]) == (200, {"message": "Instance deleted"})
    assert again.status == 400
    assert "remembered" not in running.gateways[1].sessions
    assert named(running, "remembered") == []
    assert not (running.deployment.files_root / "store/chatwoot/remembered").exists()
    after = fingerprint(running.deployment)
    assert {entry: after.get(entry) for entry in before} == before


def test_a_name_that_no_gateway_holds_is_unknown(running: System) -> None:
    """As documented, and so when no gateway answers."""
    unknown = running.delete("nobody")
    for gateway in running.gateways:
        gateway.fail_next["connectionState"] = [503]
    silent = running.delete("nobody")

    assert (unknown.status, silent.status) == (400, 400)
    assert silent.body["message"] == 'The "nobody" instance does not exist'


@pytest.mark.parametrize(("names", "status"), [(["limited"], 200), (["another"], 401)])
def test_a_limited_key_may_what_it_may_with_a_row(running: System, names: list[str], status: int) -> None:
    """A key for other names gets the answer that it always gets, and no gateway is asked."""
    remember(running, "limited")
    services = running.make_services()
    key = make_key(services, Role.ADMIN, instances=names).key
    services.close()
    calls = len(running.gateways[0].calls)

    answer = running.delete("limited", key=key)

    assert answer.status == status
    assert (len(running.gateways[0].calls) > calls) == (status == 200)


def test_a_dead_socket_is_no_success(running: System) -> None:
    """Nothing was removed, and the gateway goes on: the answer says what helps, as often as it is called."""
    remember(running, "dead socket")
    running.gateways[1].break_socket("dead socket")

    answers = [running.delete("dead socket") for _ in range(2)]

    assert [answer.status for answer in answers] == [400, 400]
    assert "restart the gateway" in answers[1].body["message"]
    assert running.gateways[1].sessions["dead socket"] == "open"
    running.gateways[1].sessions.clear()  # restarted
    assert running.delete("dead socket").status == 200


def test_it_can_be_previewed(running: System) -> None:
    """One gateway would drop it, and no row would go."""
    remember(running, "previewed")

    answer = running.call("POST", "/deletions", json={"instanceName": "previewed", "dryRun": True})

    assert answer.status_code == 200
    assert answer.json()["planned"]["delete_records"] == {}
    assert answer.json()["planned"]["logout"] == {"sessions": 1}


def test_a_second_caller_gets_a_409(make_system: Callable[..., System]) -> None:
    """No worker runs: the first deletion waits."""
    system = make_system(gateways=2)
    system.start("web")
    remember(system, "twice")
    first: Answer = system.delete("twice", Prefer="respond-async")

    second = system.delete("twice")

    assert first.status == 202
    assert (second.status, second.body["deletionId"]) == (409, first.body["response"]["deletionId"])
    system.close()
