"""An instance is created anew under its name while the old one is being deleted: the new one loses nothing."""

from collections.abc import Callable
from uuid import UUID

import psycopg
import requests

from demo.evolution.census import census, fingerprint_of
from demo.evolution.deployment import SeededInstance
from demo.evolution.gateway import Gateway
from demo.evolution.seed import seed_instance
from demo.processes import wait_until
from shared.deletions.republishing import StepMessage
from tasks import pipeline, publishing
from tasks.gateways import drops
from tests.faults.scene import PLENTY_SECONDS, Scene
from tests.system import GATEWAY_KEY

TAKEN = 403
LATE_SECONDS = 3.0  # longer than the tests' gateway_timeout_seconds, shorter than their gateway_late_seconds


def call(gateway: Gateway, method: str, path: str, **body: str) -> int:
    """Call a gateway as its other clients do; the status."""
    answer = requests.request(
        method, f"{gateway.url}{path}", json=body, headers={"apikey": GATEWAY_KEY}, timeout=PLENTY_SECONDS
    )
    return answer.status_code


def create_instance(scene: Scene, gateway: Gateway, name: str) -> SeededInstance:
    """Put a new instance of the name into every store and into one gateway; raises UniqueViolation."""
    new = seed_instance(scene.deployment, name)
    gateway.connect(name, new.id)
    return new


def mine(scene: Scene, born: dict[str, SeededInstance]) -> dict[str, dict[str, str]]:
    """Everything that belongs to the new instances."""
    return {name: fingerprint_of(scene.deployment, new.id, name) for name, new in born.items()}


def deliver_all_again(scene: Scene, name: str) -> None:
    """Publish chains from every position, for every attempt there has been."""
    services = scene.system.make_services()
    for attempt in range(1, scene.show(name)["attempt"] + 1):
        for position in range(len(pipeline.NAMES)):
            publishing.publish(services, StepMessage(UUID(scene.deletions[name]), attempt, position))
    services.close()


def assert_only_the_old_one_is_gone(scene: Scene, born: dict[str, SeededInstance]) -> None:
    """By its id nothing is left of the old one; the new one is whole, in all stores."""
    for name, new in born.items():
        found = census(scene.deployment, scene.instances[name].id, f"no instance has this name, {name} neither")
        left = {kind: count for kinds in found.values() for kind, count in kinds.items() if count}
        assert left == {}, name
        rows = census(scene.deployment, new.id, name)
        assert rows["rows"]["Instance"] == 1, name
        assert rows["rows"]["Message"] > 0, name


def test_another_instance_gets_the_name_at_each_boundary(make_scene: Callable[..., Scene]) -> None:
    """Before the drop the old one goes by the gateway's own delete; from the drop until the end the name is taken."""
    scene = make_scene(gateways=2, worker_concurrency=10)
    early = [f"before-{step}" for step in ("logout", "purge_cache", "send_webhook", "deregister")]
    late = ["middle-deregister", *(f"before-{step}" for step in ("delete_records", "delete_files", "confirm"))]
    scene.seed_neighbours()
    scene.seed(*early, *late)
    scene.start("web", "beat", "ambushed")
    scene.order(*scene.instances)
    first, second = scene.system.gateways
    wait_until(
        lambda: all((scene.folder / f"{name}.reached").exists() for name in scene.instances),
        PLENTY_SECONDS,
        "all the boundaries",
    )
    assert call(second, "POST", "/instance/create", instanceName=early[0]) == TAKEN
    for name in early:
        assert call(first, "DELETE", f"/instance/delete/{name}") == 200
    bearers = 'SELECT 1 FROM "Instance" WHERE name = ANY(%s)'
    wait_until(lambda: not scene.tenant(bearers, early), PLENTY_SECONDS, "the gateway to have erased them")
    born = {name: create_instance(scene, second, name) for name in early}
    assert [call(first, "POST", "/instance/create", instanceName=name) for name in late] == [TAKEN] * len(late)
    scene.kill("ambushed")
    before = mine(scene, born)

    with scene.figures.recovery("another instance has the name"):
        scene.start("worker")
        for name in born:
            deliver_all_again(scene, name)
        for name in late:
            wait_until(lambda name=name: is_born(scene, name), PLENTY_SECONDS, "the reserved name to be free")
            created = {name: bear_again(scene, name)}
            before |= mine(scene, created)
            born |= created
        scene.wait_for_end()
    for name in born:
        deliver_all_again(scene, name)

    assert mine(scene, born) == before
    assert_only_the_old_one_is_gone(scene, born)
    holders = {name: [gateway.sessions.get(name) for gateway in (first, second)] for name in born}
    assert all(any(states) for states in holders.values()), holders
    scene.assert_never_twice()


def test_a_drop_is_carried_out_after_lethe_gave_up_waiting(make_scene: Callable[..., Scene]) -> None:
    """Until the drop is seen to be done, no instance can get the name; afterwards one can, and loses nothing."""
    scene = make_scene(gateways=2)
    scene.seed_neighbours()
    scene.seed("late")
    first, second = scene.system.gateways
    first.delays["delete"] = LATE_SECONDS
    scene.start("web", "beat", "worker")
    scene.order("late")
    wait_until(lambda: ("DELETE", "/instance/delete/late") in first.calls, PLENTY_SECONDS, "the drop")

    wait_until(lambda: is_born(scene, "late"), PLENTY_SECONDS, "the name to be free")
    born = {"late": bear_again(scene, "late")}
    before = mine(scene, born)
    deliver_all_again(scene, "late")
    scene.wait_for_end()
    deliver_all_again(scene, "late")
    first.settle()

    assert mine(scene, born) == before
    assert_only_the_old_one_is_gone(scene, born)
    assert second.sessions.get("late") or first.sessions.get("late")
    scene.assert_never_twice()


def test_a_worker_dies_while_its_drop_is_on_the_way(make_scene: Callable[..., Scene]) -> None:
    """The gateway carries out the call after its client has left: it must not hit a new instance of the name."""
    scene = make_scene(gateways=2)
    first, second = scene.system.gateways
    scene.seed_neighbours()
    scene.seed("orphaned")
    second.sessions.clear()  # this replica never held it, so it would create the name
    first.delays["delete"] = LATE_SECONDS
    scene.start("web", "beat", "worker")
    scene.order("orphaned")
    wait_until(lambda: ("DELETE", "/instance/delete/orphaned") in first.calls, PLENTY_SECONDS, "the drop")
    scene.kill("worker")

    wait_until(lambda: is_born(scene, "orphaned"), LATE_SECONDS * 10, "the name to be free")
    born = {"orphaned": bear_again(scene, "orphaned")}
    before = mine(scene, born)
    with scene.figures.recovery("worker killed while a drop is on its way"):
        scene.start("worker")
        scene.wait_for_end()
    first.settle()  # the name became free because the late drop was carried out: this is the rest of it

    assert mine(scene, born) == before
    assert_only_the_old_one_is_gone(scene, born)
    scene.assert_never_twice()


def test_a_worker_dies_while_a_server_cleans_up(make_scene: Callable[..., Scene]) -> None:
    """The name stays taken until the server's last statement has run; what is created after the end is whole."""
    scene = make_scene(gateways=2, gateway_late_seconds=PLENTY_SECONDS)
    first, second = scene.system.gateways
    scene.seed_neighbours()
    scene.seed("slow")
    for gateway in (first, second):
        gateway.clean_up.statement_seconds = 0.1
    scene.start("web", "beat", "worker")
    scene.order("slow")
    unfinished = drops.NOT_FINISHED
    wait_until(lambda: scene.show("slow")["reason"] == unfinished, PLENTY_SECONDS, "the wait for the clean-up")
    scene.kill("worker")

    while_it_waits = call(first, "POST", "/instance/create", instanceName="slow")
    with scene.figures.recovery("worker killed while a server cleans up"):
        scene.start("worker")
        scene.wait_for_end()
    after_the_end = call(first, "POST", "/instance/create", instanceName="slow")
    born = {"slow": bear_again(scene, "slow")}
    before = mine(scene, born)
    for gateway in (first, second):
        gateway.settle()

    assert (while_it_waits, after_the_end) == (TAKEN, 201)
    assert mine(scene, born) == before
    assert_only_the_old_one_is_gone(scene, born)
    scene.assert_never_twice()


def is_born(scene: Scene, name: str) -> bool:
    """Try to create the name at every gateway, as a customer does who wants it back."""
    statuses = [
        call(gateway, "POST", "/instance/create", instanceName=name) for gateway in reversed(scene.system.gateways)
    ]
    return 201 in statuses


def bear_again(scene: Scene, name: str) -> SeededInstance:
    """Fill the instance that was just created with what a real one holds."""
    with psycopg.connect(scene.deployment.database_url, autocommit=True) as connection:
        found = connection.execute('SELECT id, token FROM "Instance" WHERE name = %s', (name,)).fetchone()
    assert found, "created, and gone at once"
    instance_id, token = found
    # In place: a deletion that is tried again would reserve a name that is free for a moment.
    return seed_instance(scene.deployment, name, instance_id=instance_id, token=token, in_place=True)
