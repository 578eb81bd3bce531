"""Another instance can have the name: it loses nothing, whatever happens to the old one."""

import threading
import time
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
import requests
from sqlalchemy import text

from demo.evolution import cache
from demo.evolution.census import census, fingerprint, fingerprint_of
from demo.evolution.seed import seed_instance
from demo.processes import wait_until
from shared.deletions.republishing import StepMessage
from shared.services import Services
from tasks import pipeline, publishing
from tests.integration.inline import run_steps, run_to_end
from tests.system import GATEWAY_KEY, System
from worker.runner import Outcome


@pytest.fixture
def stopped(make_system: Callable[..., System]) -> Iterator[tuple[System, Services]]:
    """Two gateways and an API, but no worker: the test runs the steps."""
    system = make_system(gateways=2)
    system.start("web")
    services = system.make_services()
    yield system, services
    services.close()
    system.close()


def accept(system: System, name: str) -> UUID:
    """Have a deletion accepted."""
    return UUID(system.delete(name, Prefer="respond-async").body["response"]["deletionId"])


def create(system: System, name: str, *, gateway: int = 0) -> int:
    """Create the name at a gateway, as a customer does; the status."""
    answer = requests.post(
        f"{system.gateways[gateway].url}/instance/create",
        json={"instanceName": name},
        headers={"apikey": GATEWAY_KEY},
        timeout=30,
    )
    return answer.status_code


def test_the_name_is_not_free_until_the_last_gateway_has_finished(stopped: tuple[System, Services]) -> None:
    """While the second gateway takes its time every create is refused; what is created afterwards stays."""
    system, services = stopped
    old = seed_instance(system.deployment, "again")
    for gateway in system.gateways:
        gateway.load()
    system.gateways[1].delays["delete"] = 1.5
    deletion_id = accept(system, "again")
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook")
    refused: list[float] = []
    created: list[float] = []

    def try_to_create() -> bool:
        answer = create(system, "again")
        (created if answer == 201 else refused).append(time.monotonic())
        return answer == 201

    def create_as_soon_as_possible() -> None:
        wait_until(lambda: ("DELETE", "/instance/delete/again") in system.gateways[1].calls, 20, "the second drop")
        wait_until(try_to_create, 30, "a create")

    creator = threading.Thread(target=create_as_soon_as_possible)
    creator.start()
    run_to_end(services, deletion_id)
    creator.join()
    for gateway in system.gateways:
        gateway.settle()

    assert created[0] - refused[0] > 1
    new = services.tenant.find(name="again")
    assert new is not None
    assert new.id != old.id
    assert services.tenant.find(instance_id=old.id) is None
    assert system.show(str(deletion_id))["status"] == "succeeded"


def test_another_instance_with_the_name_is_left_alone(stopped: tuple[System, Services]) -> None:
    """Deregister is delivered again after the drop: the new bearer loses nothing, in any store, at any gateway."""
    system, services = stopped
    old = seed_instance(system.deployment, "reborn")
    system.gateways[0].load()
    deletion_id = accept(system, "reborn")
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook", "deregister")
    system.gateways[0].settle()
    new = seed_instance(system.deployment, "reborn", in_place=True)  # the reservation is lost, and the name taken
    system.gateways[0].load()
    before = fingerprint(system.deployment)
    own = fingerprint_of(system.deployment, old.id, f"lethe:{deletion_id}")
    with services.own.begin() as connection:
        connection.execute(text("UPDATE deletions SET position = 3"))
        connection.execute(text("UPDATE steps SET status = 'pending', notes = '{}' WHERE name = 'deregister'"))
    calls = [len(gateway.calls) for gateway in system.gateways]

    outcomes = run_steps(services, deletion_id, "deregister", "delete_records", "delete_files", "confirm")

    assert outcomes == [Outcome.CONTINUE, Outcome.CONTINUE, Outcome.CONTINUE, Outcome.STOP]
    notes = {step["name"]: step["notes"] for step in system.show(str(deletion_id))["steps"]}["deregister"]
    assert notes["name_borne_again"] is True
    assert set(notes["gateways"].values()) == {"not_dropped: restart needed"}
    assert [len(gateway.calls) for gateway in system.gateways] == calls
    after = {entry: value for entry, value in fingerprint(system.deployment).items() if ".trash" not in entry}
    expected = {entry: value for entry, value in before.items() if entry not in own and ".trash" not in entry}
    assert after == expected
    assert sum(census(system.deployment, new.id, "reborn")["rows"].values()) > 0


def test_early_steps_leave_a_name_alone_that_is_not_their_instances(stopped: tuple[System, Services]) -> None:
    """The gateway's own delete and a create came first: logout and purge go by id only."""
    system, services = stopped
    old = seed_instance(system.deployment, "swapped")
    deletion_id = accept(system, "swapped")
    with system.deployment.connect() as connection:
        connection.execute('UPDATE "Instance" SET name = %s WHERE id = %s', ("elsewhere", old.id))
    new = seed_instance(system.deployment, "swapped")
    system.gateways[0].load()

    run_steps(services, deletion_id, "logout", "purge_cache")

    assert system.gateways[0].sessions["swapped"] == "open"
    keys = {cache.key_by_id(system.deployment, new.id), *cache.chatwoot_keys(system.deployment, "swapped")}
    assert all(services.redis.exists(key) or system.deployment.cache().exists(key) for key in keys)
    assert not system.deployment.cache().exists(cache.key_by_id(system.deployment, old.id))


def test_a_gateway_that_is_away_stops_deregister_and_is_dropped_later(stopped: tuple[System, Services]) -> None:
    """Fenced and waiting: the first gateway is not asked twice, the deletion ends when the second is back."""
    system, services = stopped
    seed_instance(system.deployment, "half")
    for gateway in system.gateways:
        gateway.load()
    deletion_id = accept(system, "half")
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook")
    system.gateways[1].fail_next["delete"] = [503] * 20

    waiting = run_steps(services, deletion_id, "deregister")
    system.gateways[1].fail_next.clear()
    run_to_end(services, deletion_id)

    assert waiting == [Outcome.STOP]
    assert system.show(str(deletion_id))["status"] == "succeeded"
    drops = [call for call in system.gateways[0].calls if call == ("DELETE", "/instance/delete/half")]
    assert len(drops) == 1
    assert "half" not in system.gateways[1].sessions


def test_a_message_that_comes_twice_changes_nothing(stopped: tuple[System, Services]) -> None:
    """Every step's message again, in any order, after the end and in between: no step is claimed."""
    system, services = stopped
    seed_instance(system.deployment, "repeated")
    deletion_id = accept(system, "repeated")
    outcomes = []
    for name in pipeline.NAMES:
        outcomes += run_steps(services, deletion_id, *pipeline.NAMES[::-1], name)

    shown = system.show(str(deletion_id))

    assert shown["status"] == "succeeded"
    # confirm may have waited for the gateway's clean-up, and is claimed once more then.
    assert [step["attempts"] for step in shown["steps"] if step["name"] != "confirm"] == [1] * 6
    assert publishing.publish(services, StepMessage(deletion_id, 1, 0))


def test_a_late_gateway_keeps_the_name_taken(stopped: tuple[System, Services]) -> None:
    """It may still carry the drop out: the name is not free, a repeated call is a 409, then the deletion ends."""
    system, services = stopped
    seed_instance(system.deployment, "late")
    system.gateways[1].load()
    deletion_id = accept(system, "late")
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook")
    system.gateways[1].delays["delete"] = 3  # longer than gateway_timeout_seconds

    outcomes = run_steps(services, deletion_id, "deregister")
    repeated = system.delete("late")
    created = create(system, "late")

    assert outcomes == [Outcome.STOP]
    assert (repeated.status, repeated.body["deletionId"]) == (409, str(deletion_id))
    assert created == 403
    assert system.show(str(deletion_id))["status"] == "waiting"
    wait_until(lambda: "late" not in system.gateways[1].sessions, 20, "the late drop")
    system.gateways[1].settle()
    (system.deployment.files_root / "store/chatwoot/late").mkdir(parents=True)

    run_to_end(services, deletion_id)

    assert system.show(str(deletion_id))["status"] == "succeeded"
    assert services.tenant.find(name="late") is None
    assert not (system.deployment.files_root / "store/chatwoot/late").exists()
    with system.deployment.connect() as connection:
        assert connection.execute('SELECT count(*) FROM "Instance"').fetchone() == (0,)


def test_media_that_cannot_be_seen_do_not_count_as_gone(stopped: tuple[System, Services]) -> None:
    """The mount fell off after the first step: the deletion waits for it."""
    system, services = stopped
    seed_instance(system.deployment, "mounted")
    deletion_id = accept(system, "mounted")
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook", "deregister", "delete_records")
    root = system.deployment.files_root
    root.rename(root.with_name("elsewhere"))
    root.mkdir()

    run_steps(services, deletion_id, "delete_files")
    waiting = system.show(str(deletion_id))
    root.rmdir()
    root.with_name("elsewhere").rename(root)
    run_steps(services, deletion_id, "delete_files", "confirm")

    assert waiting["status"] == "waiting"
    assert "files root" in waiting["reason"]
    assert system.show(str(deletion_id))["status"] == "succeeded"
    assert not [file for file in root.rglob("*") if file.is_file()]
