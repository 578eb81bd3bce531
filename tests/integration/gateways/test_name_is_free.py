"""After SUCCESS the name is free: no server still acts by it, and a new instance loses nothing."""

import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from demo.evolution.deployment import SeededInstance
from demo.evolution.seed import seed_instance
from demo.processes import wait_until
from shared.evolution.rows.reservation import Found, Reservation, release_ended
from shared.services import Services
from tasks.gateways import drops
from tests.integration.gateways.test_reservation import accept, create
from tests.integration.inline import run_all, run_steps, run_to_end
from tests.system import System

DISTANCES = (0, 0.001, 0.03, 0.1)  # seconds between a server and its database


@pytest.fixture(scope="module")
def running(make_system: Callable[..., System]) -> Iterator[System]:
    """Two gateways, and everything that Lethe runs."""
    system = make_system(gateways=2, gateway_late_seconds=60, wait_seconds=40, worker_concurrency=4)
    system.start("web", "worker", "beat")
    yield system
    system.close()


@pytest.fixture
def stopped(make_system: Callable[..., System]) -> Iterator[tuple[System, Services]]:
    """One gateway and an API, but no worker: the test runs the steps."""
    system = make_system()
    system.start("web")
    services = system.make_services()
    yield system, services
    services.close()
    system.close()


def put_there(system: System, name: str, **options: object) -> SeededInstance:
    """An instance that every gateway is connected to."""
    seeded = seed_instance(system.deployment, name, **options)  # type: ignore[arg-type]
    for gateway in system.gateways:
        gateway.connect(name, seeded.id)
    return seeded


def fill(system: System, name: str) -> str:
    """Give the instance that was just created a session; its id."""
    with system.deployment.connect() as connection:
        found = connection.execute('SELECT id FROM "Instance" WHERE name = %s', (name,)).fetchone()
        assert found, "created, and gone at once"
        connection.execute(
            'INSERT INTO "Session" (id, "sessionId", creds) VALUES (gen_random_uuid(), %s, %s)', (found[0], "{}")
        )
    return str(found[0])


def is_whole(system: System, name: str, instance_id: str) -> bool:
    """Whether it still has its row, its name and its session."""
    with system.deployment.connect() as connection:
        query = (
            'SELECT count(*) FROM "Instance" i JOIN "Session" s ON s."sessionId" = i.id WHERE i.id = %s AND name = %s'
        )
        return connection.execute(query, (instance_id, name)).fetchone() == (1,)


@pytest.fixture
def far_away(running: System) -> Iterator[Callable[[float], None]]:
    """Put the servers at this distance from their database; back again after the test."""

    def put(seconds: float) -> None:
        for gateway in running.gateways:
            gateway.clean_up.statement_seconds = seconds

    yield put
    put(0)
    running.gateways[0].session_cache = False


@pytest.mark.parametrize("distance", DISTANCES)
def test_what_is_created_after_success_stays(
    running: System, far_away: Callable[[float], None], distance: float
) -> None:
    """At any distance, with the server's session cache on and off: the server's late delete removes nothing."""
    names = {f"{distance} with cache": True, f"{distance} without": False}
    for name in names:
        put_there(running, name)
    far_away(distance)
    statuses = {}

    def delete(name: str) -> None:
        statuses[name] = running.delete(name).status

    deleting = [threading.Thread(target=delete, args=(name,)) for name in names]
    for each in deleting:
        each.start()
    for each in deleting:
        each.join()
    created = {}
    for name, session_cache in names.items():
        running.gateways[0].session_cache = session_cache
        assert create(running, name) == 201
        created[name] = fill(running, name)
    for gateway in running.gateways:
        gateway.settle()

    assert set(statuses.values()) == {200}
    assert [name for name, instance_id in created.items() if not is_whole(running, name, instance_id)] == []


@pytest.mark.parametrize("distance", DISTANCES)
def test_creates_that_are_tried_during_the_deletion_lose_nothing(
    running: System, far_away: Callable[[float], None], distance: float
) -> None:
    """A create every 5 ms: it is refused as long as a server acts by the name; what is created at last stays."""
    name = f"hammered at {distance}"
    put_there(running, name)
    far_away(distance)
    running.gateways[0].sessions.pop(name)  # the second one holds it: the first would create it at once
    answers: list[int] = []

    def hammer() -> None:
        pause = threading.Event()
        while 201 not in answers and len(answers) < 5_000:
            answers.append(create(running, name))
            pause.wait(0.005)

    hammering = threading.Thread(target=hammer)
    hammering.start()
    ended = running.delete(name)
    hammering.join()
    instance_id = fill(running, name)
    for gateway in running.gateways:
        gateway.settle()

    assert ended.status == 200
    assert answers.count(201) == 1
    assert len(answers) > 1
    assert is_whole(running, name, instance_id)


def test_a_logout_does_not_wait_for_a_dead_webhook(running: System) -> None:
    """The server would await it with all its tries, and then log out the new instance of the name."""
    put_there(running, "deaf", webhook_url="http://127.0.0.1:9/dead", webhook_events=[])
    for gateway in running.gateways:
        gateway.clean_up.webhook_tries, gateway.clean_up.webhook_pause_seconds = 30, 0.1

    ended = running.delete("deaf")
    assert create(running, "deaf") == 201
    instance_id = fill(running, "deaf")
    for gateway in running.gateways:
        gateway.settle()

    assert ended.status == 200
    assert is_whole(running, "deaf", instance_id)


@pytest.mark.parametrize("session_cache", [True, False])
def test_a_create_that_fails_late_cleans_up_the_reservation(
    stopped: tuple[System, Services], session_cache: bool
) -> None:
    """The reservation is put back, and the name stays taken until that clean-up is over as well."""
    system, services = stopped
    system.gateways[0].session_cache = session_cache
    system.gateways[0].clean_up.statement_seconds = 0.02
    put_there(system, "swallowed")
    deletion_id = accept(system, "swallowed")
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook", "deregister")

    refused = create(system, "swallowed")
    run_to_end(services, deletion_id)
    created = create(system, "swallowed")
    instance_id = fill(system, "swallowed")
    system.gateways[0].settle()

    assert (refused, created) == (400 if session_cache else 403, 201)
    assert is_whole(system, "swallowed", instance_id)


def test_a_server_that_was_restarted_is_not_waited_for(stopped: tuple[System, Services]) -> None:
    """It died after its answer: its last statement never comes. Nothing listens, so nothing is under way."""
    system, services = stopped
    gateway = system.gateways[0]
    put_there(system, "restarted")
    deletion_id = accept(system, "restarted")
    gateway.clean_up.statement_seconds = 3600
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook", "deregister")
    wait_until(lambda: "restarted" not in gateway.sessions, 20, "the memory to be empty")
    gateway.stop()

    run_to_end(services, deletion_id)

    shown = {step["name"]: step["notes"] for step in system.show(str(deletion_id))["steps"]}
    assert shown["confirm"][drops.FINISHED] == {gateway.url: drops.RESTARTED}
    assert Reservation(services.tenant, "restarted", deletion_id).put() is Found.PUT  # it was given back


def test_what_is_never_seen_ends_by_the_clock(stopped: tuple[System, Services]) -> None:
    """The server was restarted between two looks: the name is free after gateway_late_seconds, and that is noted."""
    system, services = stopped
    gateway = system.gateways[0]
    put_there(system, "unseen")
    deletion_id = accept(system, "unseen")
    gateway.clean_up.statement_seconds = 3600
    run_to_end(services, deletion_id)

    shown = system.show(str(deletion_id))
    assert shown["status"] == "succeeded"
    notes = {step["name"]: step["notes"] for step in shown["steps"]}
    assert notes["confirm"][drops.FINISHED] == {gateway.url: drops.BY_THE_CLOCK}


def channels_on(system: System, instance_id: str) -> list[str]:
    """The instance's channels that are on."""
    services = system.make_services()
    try:
        return sorted(services.tenant.channels(instance_id))
    finally:
        services.close()


def test_channels_are_put_back_when_the_deletion_fails_before_the_fence(stopped: tuple[System, Services]) -> None:
    """The instance lives on, and its customer goes on hearing of it."""
    system, services = stopped
    seeded = put_there(system, "kept", webhook_url=f"{system.receiver.url}/hook")
    before = channels_on(system, seeded.id)
    deletion_id = accept(system, "kept")
    run_steps(services, deletion_id, "logout")
    off = channels_on(system, seeded.id)
    with services.own.begin() as connection:
        connection.exec_driver_sql("UPDATE deletions SET waiting_since = now() - interval '25 hours'")

    system.start("worker", "beat")
    system.wait_for(str(deletion_id), "failed", seconds=60)
    wait_until(lambda: channels_on(system, seeded.id) != [], 30, "the channels to be put back")

    assert "Webhook" in before
    assert off == []
    assert channels_on(system, seeded.id) == before


def test_channels_are_put_back_when_the_right_is_lost(stopped: tuple[System, Services]) -> None:
    """Cancelled between logout and the fence: at once, not with the reconciler's next round."""
    system, services = stopped
    seeded = put_there(system, "cancelled", webhook_url=f"{system.receiver.url}/hook")
    before = channels_on(system, seeded.id)
    key = system.call("DELETE", "/instance/delete/cancelled", key=seeded.token, headers={"Prefer": "respond-async"})
    deletion_id = key.json()["response"]["deletionId"]
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook")
    with system.deployment.connect() as connection:
        connection.execute('UPDATE "Instance" SET token = %s WHERE id = %s', ("ANOTHER", seeded.id))

    run_all(services, deletion_id)

    assert system.show(str(deletion_id))["status"] == "cancelled"
    assert channels_on(system, seeded.id) == before


def test_a_channel_that_is_switched_off_still_hears_of_the_deletion(stopped: tuple[System, Services]) -> None:
    """The customer's webhook is on again for this one event, which Lethe sends itself."""
    system, services = stopped
    put_there(system, "told", webhook_url=f"{system.receiver.url}/hook")
    deletion_id = accept(system, "told")

    run_to_end(services, deletion_id)

    assert [received.body["event"] for received in system.receiver.received] == ["INSTANCE_DELETE"]


def test_the_reservation_lets_a_server_close_the_row_but_not_delete_it(stopped: tuple[System, Services]) -> None:
    """While it is held; put back, it tells that it was deleted, and another instance's row is left alone."""
    system, services = stopped
    deletion_id = accept(system, put_there(system, "held").name)
    services.tenant.fence(services.tenant.find(name="held").id, deletion_id)  # type: ignore[union-attr]
    reservation = Reservation(services.tenant, "held", deletion_id)
    close = "SET lock_timeout = 200; UPDATE \"Instance\" SET \"connectionStatus\" = 'close' WHERE name = 'held'"
    delete = "SET lock_timeout = 200; DELETE FROM \"Instance\" WHERE name = 'held'"

    with reservation.held() as found, system.deployment.connect() as connection:
        connection.execute(close)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute(delete)
        reservation.arm()
    kept = reservation.put()
    with system.deployment.connect() as connection:
        connection.execute(delete)
    again, put_back = reservation.put(), reservation.put()
    reservation.release()
    system.gateways[0].sessions.clear()
    created = create(system, "held")

    assert created == 201
    assert (found, kept, again, put_back) == (Found.PUT, Found.KEPT, Found.PUT, Found.PUT_BACK)
    assert reservation.put() is Found.TAKEN


def test_a_name_that_an_earlier_version_left_reserved_is_given_back(stopped: tuple[System, Services]) -> None:
    """Its worker ran confirm without knowing of the reservation; one whose deletion goes on stays."""
    system, services = stopped
    living = put_there(system, "going on")
    ended, going_on = accept(system, put_there(system, "left behind").name), accept(system, living.name)
    run_to_end(services, ended)
    services.tenant.fence(living.id, going_on)
    for name, deletion_id in (("left behind", ended), ("going on", going_on)):
        Reservation(services.tenant, name, deletion_id).put()

    released = release_ended(services.tenant, services.own)

    assert released == 1
    assert Reservation(services.tenant, "left behind", ended).put() is Found.PUT
    assert Reservation(services.tenant, "going on", going_on).put() is Found.PUT_BACK


@pytest.fixture
def two_gateways(make_system: Callable[..., System]) -> Iterator[tuple[System, Services]]:
    """An API, no worker, and a second gateway whose session cache is on."""
    system = make_system(gateways=2, gateway_late_seconds=60)
    system.start("web")
    system.gateways[1].session_cache = True
    services = system.make_services()
    yield system, services
    services.close()
    system.close()


def test_the_clean_up_of_another_server_is_no_acknowledgement(two_gateways: tuple[System, Services]) -> None:
    """The first gateway did not answer the drop and still holds the name: that the row is gone says nothing of it."""
    system, services = two_gateways
    first, second = system.gateways
    seeded = seed_instance(system.deployment, "unanswered")
    first.connect("unanswered", seeded.id)
    deletion_id = accept(system, "unanswered")
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook")
    first.delays["delete"] = 10  # longer than gateway_timeout_seconds, and than all that is done until then
    run_steps(services, deletion_id, "deregister")
    refused = create(system, "unanswered", gateway=1)
    second.settle()

    run_steps(services, deletion_id, "deregister")
    notes = {step["name"]: step["notes"] for step in system.show(str(deletion_id))["steps"]}["deregister"]
    first.clean_up.statement_seconds = 0.02
    run_to_end(services, deletion_id)
    created = create(system, "unanswered")
    instance_id = fill(system, "unanswered")
    first.settle()

    assert refused == 400
    assert notes[drops.FINISHED] == {}
    assert created == 201
    assert is_whole(system, "unanswered", instance_id)


def test_a_name_that_waited_for_an_absent_gateway_has_its_quiet_time(two_gateways: tuple[System, Services]) -> None:
    """No gateway was asked anything: a create that was refused meanwhile is still being cleaned up."""
    system, services = two_gateways
    first, second = system.gateways
    seed_instance(system.deployment, "absent")
    deletion_id = accept(system, "absent")
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook")
    first.fail_next["connectionState"] = [503] * 100
    run_steps(services, deletion_id, "deregister")
    second.clean_up.statement_seconds = 0.02
    refused = create(system, "absent", gateway=1)
    first.fail_next.clear()

    run_to_end(services, deletion_id)
    created = create(system, "absent")
    instance_id = fill(system, "absent")
    second.settle()

    assert (refused, created) == (400, 201)
    assert is_whole(system, "absent", instance_id)
