"""The main job, through the real API, broker and worker: one DELETE erases one instance."""

from collections.abc import Callable

import pytest

from demo.evolution.census import census, fingerprint
from demo.evolution.deployment import SeededInstance
from demo.evolution.seed import seed_instance
from demo.processes import wait_until
from tests.system import System

SUCCESS = '{"status":"SUCCESS","error":false,"response":{"message":"Instance deleted"}}'


def total(system: System, instance: SeededInstance) -> int:
    """Everything the deployment still has of an instance, in all stores."""
    stores = census(system.deployment, instance.id, instance.name)
    return sum(sum(counts.values()) for counts in stores.values())


def connect(system: System, instance: SeededInstance, how: str) -> None:
    """Put the instance into that state at the gateway."""
    gateway = system.gateways[0]
    if how in ("open", "connecting", "close"):
        gateway.connect(instance.name, instance.id, how)  # type: ignore[arg-type]
    if how == "dead socket":
        gateway.connect(instance.name, instance.id, "open")
        gateway.break_socket(instance.name)


@pytest.mark.parametrize("how", ["open", "connecting", "close", "unknown", "dead socket"])
def test_an_instance_is_erased_in_every_state_of_its_session(shared_system: System, how: str) -> None:
    """Connected, connecting, closed, unknown to the gateway, and with a socket that is dead."""
    instance = seed_instance(shared_system.deployment, f"state {how}")
    connect(shared_system, instance, how)

    answer = shared_system.delete(instance.name)

    assert (answer.status, answer.text) == (200, SUCCESS)
    assert total(shared_system, instance) == 0
    assert (instance.name in shared_system.gateways[0].sessions) == (how == "dead socket")


def test_a_dead_socket_is_recorded(shared_system: System) -> None:
    """The session could not be unlinked, and that gateway needs a restart: the deletion says both."""
    instance = seed_instance(shared_system.deployment, "dead")
    connect(shared_system, instance, "dead socket")
    deletion_id = shared_system.delete("dead", Prefer="respond-async").body["response"]["deletionId"]

    steps = {step["name"]: step for step in shared_system.wait_for(deletion_id)["steps"]}

    assert steps["logout"]["notes"]["unlinked"] is False
    assert steps["deregister"]["notes"]["gateways"] == {shared_system.gateways[0].url: "not_dropped: restart needed"}


def test_what_was_removed_is_what_was_planned(shared_system: System) -> None:
    """The preview's counts and the removed ones agree, store for store, and every step is done."""
    instance = seed_instance(shared_system.deployment, "counted", messages=500, media=40, sessions=30)
    before = census(shared_system.deployment, instance.id, instance.name)
    deletion_id = shared_system.delete("counted", Prefer="respond-async").body["response"]["deletionId"]

    shown = shared_system.wait_for(deletion_id)
    steps = {step["name"]: step for step in shown["steps"]}

    assert [step["status"] for step in shown["steps"]] == ["done"] * 7
    assert steps["delete_records"]["removed"] == {table: rows for table, rows in before["rows"].items() if rows}
    for name in ("purge_cache", "delete_records", "delete_files"):
        assert steps[name]["planned"] == steps[name]["removed"]
    files = steps["deregister"]["removed"]["files"] + steps["delete_files"]["removed"]["files"]
    assert files == sum(before["files"].values())
    assert not any(step["atLeast"] for step in shown["steps"])


def test_a_second_delete_says_that_it_does_not_exist(shared_system: System) -> None:
    """Once it is gone, it is unknown."""
    seed_instance(shared_system.deployment, "once")
    first = shared_system.delete("once")

    second = shared_system.delete("once")

    assert first.status == 200
    assert (second.status, second.text) == (400, '{"error":true,"message":"The \\"once\\" instance does not exist"}')


def test_what_belongs_to_no_instance_stays(make_system: Callable[..., System]) -> None:
    """Global rows and keys, and what Lethe leaves in the folder: nothing but its empty trash."""
    from demo.evolution.seed import seed_global

    system = make_system()
    seed_global(system.deployment)
    before = fingerprint(system.deployment)
    instance = seed_instance(system.deployment, "only")
    system.start("web", "worker")

    answer = system.delete("only")

    assert answer.status == 200
    after = fingerprint(system.deployment)
    assert {entry: value for entry, value in after.items() if ".trash" not in entry} == before
    assert [entry for entry in after if ".trash" in entry] == ["file:.trash/"]
    assert instance.name not in system.gateways[0].sessions
    system.close()


def test_an_unreachable_gateway_keeps_the_deletion_waiting(make_system: Callable[..., System]) -> None:
    """Nothing is touched before the gateway was asked, nothing is used up, and it goes on when the gateway is back."""
    system = make_system()
    instance = seed_instance(system.deployment, "patient")
    before = fingerprint(system.deployment)
    port = int(system.gateways[0].url.rsplit(":", 1)[1])
    system.gateways[0].stop()
    system.start("web", "worker", "beat")

    deletion_id = system.delete("patient", Prefer="wait=1").body["response"]["deletionId"]
    waiting = system.wait_for(deletion_id, "waiting")

    assert "cannot be reached" in waiting["reason"]
    assert fingerprint(system.deployment) == before

    from demo.evolution.gateway import Gateway
    from tests.system import GATEWAY_KEY

    system.gateways[0] = Gateway(system.deployment.database_url, GATEWAY_KEY, port=port)
    system.gateways[0].start()
    system.wait_for(deletion_id)
    assert total(system, instance) == 0
    system.close()


def test_a_connected_server_that_writes_again_is_swept_by_confirm(shared_system: System) -> None:
    """Keys and folders that appear after their step are gone all the same when it says SUCCESS."""
    instance = seed_instance(shared_system.deployment, "busy", messages=3000)
    deletion_id = shared_system.delete("busy", Prefer="respond-async").body["response"]["deletionId"]

    def write_until_done() -> bool:
        shown = shared_system.show(deletion_id)
        if shown["steps"][5]["status"] != "done":  # delete_files
            folder = shared_system.deployment.files_root / "instances" / instance.id
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "creds.json").write_text("{}")
            shared_system.deployment.cache().hset(f"evolution-cache:instance:{instance.id}", "creds", "again")
        return shown["status"] == "succeeded"

    wait_until(write_until_done, 30, "the deletion")

    assert total(shared_system, instance) == 0
