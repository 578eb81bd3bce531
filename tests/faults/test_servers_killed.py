"""A process or server is killed, or hangs for longer than a task tries, and comes back: all deletions end."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from demo.evolution.receiver import Receiver
from demo.processes import wait_until
from tests.faults.conftest import Servers
from tests.faults.scene import PLENTY_SECONDS, Scene, freeze, make_slow
from tests.integration import inline

OUTAGE_SECONDS = 4  # the tests' retry_seconds is 1, their stale_seconds 3
SMALL_SLICES = {"batch_seconds": 0.1}


def last(seconds: float) -> None:
    """Let an outage last; what is waited for is the time itself."""
    time.sleep(seconds)


def seed_two(scene: Scene, slow_seconds: float) -> None:
    """One instance that takes a while, and one that is ordered in the middle of the fault."""
    scene.seed_neighbours()
    scene.seed("slow", messages=4_000, updates_per_message=0)
    scene.seed("small")
    make_slow(scene, "slow", slow_seconds)


def rows_erased(scene: Scene, name: str) -> int:
    """Messages that are written down as removed; none while the deletion cannot be looked at."""
    shown = scene.show(name).get("steps", [])
    return max((step["removed"].get("Message", 0) for step in shown), default=0)


def wait_for_rows(scene: Scene, name: str) -> None:
    """Wait until some messages are gone."""
    wait_until(lambda: rows_erased(scene, name) > 0, PLENTY_SECONDS, "the first batch")


def test_the_api_dies_after_its_answer_and_while_it_waits(scene: Scene) -> None:
    """Accepted deletions go on; a client that waited asks again, and gets the deletion's id, or that it is over."""
    seed_two(scene, slow_seconds=3)
    scene.start("worker")
    scene.order("small")
    scene.kill("web")
    scene.start("web")
    broken: list[Exception] = []

    def wait_in_vain() -> None:
        try:
            scene.system.delete("slow")
        except OSError as error:
            broken.append(error)

    caller = threading.Thread(target=wait_in_vain)
    caller.start()
    accepted = "SELECT 1 FROM deletions WHERE instance_id = %s"
    wait_until(lambda: scene.own(accepted, scene.instances["slow"].id) != [], PLENTY_SECONDS, "the promise")
    scene.kill("web")
    caller.join(PLENTY_SECONDS)
    with scene.figures.recovery("API killed"):
        scene.start("web")
        again = scene.system.delete("slow", Prefer="respond-async")
        scene.deletions["slow"] = again.body["deletionId"]
        scene.wait_for_end()

    assert len(broken) == 1
    assert again.status == 409
    scene.assert_all_gone()
    scene.assert_never_twice()


def test_the_api_dies_after_the_commit_and_before_the_message(scene: Scene) -> None:
    """The deletion was not published: the reconciler does it."""
    scene.seed_neighbours()
    scene.seed("unpublished")
    scene.start("worker")
    services = scene.system.make_services()
    deletion_id = inline.accept(services, scene.instances["unpublished"].id, "unpublished")
    services.close()
    scene.own("UPDATE deletions SET next_attempt_at = now() WHERE id = %s", deletion_id)
    scene.deletions["unpublished"] = str(deletion_id)

    with scene.figures.recovery("never published"):
        scene.wait_for_end()

    scene.assert_all_gone()


def test_beat_dies(scene: Scene) -> None:
    """Without beat deletions run; what dies meanwhile is found when beat is back."""
    seed_two(scene, slow_seconds=2)
    scene.start("worker")
    scene.kill("beat")
    scene.order("slow")
    wait_for_rows(scene, "slow")
    scene.kill("worker")
    scene.start("worker")
    scene.order("small")
    scene.wait_for_end("small")

    with scene.figures.recovery("beat killed"):
        scene.start("beat")
        scene.wait_for_end("slow")

    scene.assert_all_gone()
    scene.assert_never_twice()


def test_a_gateway_is_away_before_logout_and_before_the_drop(scene: Scene) -> None:
    """Both deletions wait, none of them fails, and neither is finished before the gateway said that it dropped it."""
    gateway, receiver = scene.system.gateways[0], scene.system.receiver
    scene.seed_neighbours()
    scene.seed("late", "early")
    scene.start("worker")
    told, receiver.hang_seconds = len(receiver.received), 0.8
    scene.order("late")
    wait_until(lambda: len(receiver.received) > told, PLENTY_SECONDS, "the webhook, after which comes the drop")
    gateway.stop()
    receiver.hang_seconds = 0
    scene.figures.kills += 1
    scene.order("early")
    scene.wait_for_waiting("late")
    scene.wait_for_waiting("early")
    last(OUTAGE_SECONDS)

    assert scene.show("late")["failedStep"] == "deregister"
    assert scene.show("early")["failedStep"] == "logout"
    assert "cannot be reached" in scene.show("late")["reason"]
    assert scene.own("SELECT max(failures) FROM deletions") == [(0,)]
    with scene.figures.recovery("gateway away"):
        gateway.start()
        scene.wait_for_end()
    scene.assert_all_gone()
    scene.assert_never_twice()


def test_the_webhook_receiver_is_away(scene: Scene) -> None:
    """The deletion succeeds without it; the event is delivered when it is back, under the same id."""
    receiver: Receiver = scene.system.receiver
    scene.seed_neighbours()
    scene.seed("untold")
    scene.start("worker")
    receiver.stop()
    scene.figures.kills += 1
    scene.order("untold")
    scene.wait_for_end()
    event_id = f"{scene.deletions['untold']}.instance"
    assert scene.own("SELECT status FROM webhook_events WHERE id = %s", event_id) == [("pending",)]

    receiver.start()
    scene.own("UPDATE webhook_events SET next_try_at = now() WHERE id = %s", event_id)

    scene.assert_all_gone()
    wait_until(
        lambda: scene.own("SELECT status, sealed FROM webhook_events WHERE id = %s", event_id) == [("delivered", None)],
        PLENTY_SECONDS,
        "the delivery to be written down",
    )


@pytest.mark.parametrize("keep_data", [True, False], ids=["with its data", "without its data"])
def test_redis_dies(fragile: Callable[..., Scene], servers: Servers, keep_data: bool) -> None:
    """In the middle of a giant: no deletion is lost with the queue, the locks and the leases."""
    scene = fragile(**SMALL_SLICES)
    seed_two(scene, slow_seconds=2)
    scene.start("web", "beat", "worker")
    scene.order("slow")
    wait_for_rows(scene, "slow")
    scene.figures.kills += 1
    servers.redis.kill()
    last(OUTAGE_SECONDS)
    during = scene.system.delete("small", Prefer="respond-async")

    with scene.figures.recovery(f"Redis killed, {keep_data=}"):
        servers.redis.restart(keep_data)
        wait_until(lambda: ordered(scene, "small"), PLENTY_SECONDS, "the API to accept again")
        scene.wait_for_end()

    assert during.status in (500, 503)
    scene.assert_all_gone()
    assert scene.own("SELECT sum(failures) FROM steps") == [(0,)]


def test_redis_hangs(fragile: Callable[..., Scene], servers: Servers) -> None:
    """It accepts connections and says nothing: calls are answered all the same, and work goes on afterwards."""
    scene = fragile(**SMALL_SLICES)
    seed_two(scene, slow_seconds=2)
    scene.start("web", "beat", "worker")
    scene.order("slow")
    wait_for_rows(scene, "slow")
    scene.figures.kills += 1
    go_on = freeze(servers.redis.pid)
    try:
        began = time.monotonic()
        during = scene.system.delete("small", Prefer="respond-async")
        answered_seconds = time.monotonic() - began
        shown = scene.show("slow")
        last(OUTAGE_SECONDS)
    finally:
        go_on()
    with scene.figures.recovery("Redis hung"):
        wait_until(lambda: ordered(scene, "small"), PLENTY_SECONDS, "the API to accept again")
        scene.wait_for_end()

    assert during.status in (500, 503)
    assert answered_seconds < 10
    assert shown["status"] in ("running", "queued", "waiting", "succeeded")
    scene.assert_all_gone()
    assert scene.own("SELECT sum(failures) FROM steps") == [(0,)]


@pytest.mark.parametrize("apart", [False, True], ids=["with both databases", "one database after the other"])
def test_postgresql_dies_in_the_middle_of_a_batch(fragile: Callable[..., Scene], servers: Servers, apart: bool) -> None:
    """SIGKILL of the server on which both databases lie; or of the tenant's, and then of Lethe's own."""
    scene = fragile(servers.own if apart else None, **SMALL_SLICES)
    seed_two(scene, slow_seconds=4 if apart else 2)
    scene.start("web", "beat", "worker")
    scene.order("slow")
    for killed in (servers.tenant, servers.own) if apart else (servers.tenant,):
        erased = rows_erased(scene, "slow")
        wait_until(lambda erased=erased: rows_erased(scene, "slow") > erased, PLENTY_SECONDS, "the next batch")
        scene.figures.kills += 1
        killed.kill()
        last(OUTAGE_SECONDS)
        assert scene.system.delete("small", Prefer="respond-async").status in (500, 503)
        killed.restart()

    with scene.figures.recovery("PostgreSQL killed"):
        wait_until(lambda: ordered(scene, "small"), PLENTY_SECONDS, "the API to accept again")
        scene.wait_for_end()

    scene.assert_all_gone()
    assert scene.own("SELECT sum(failures) FROM steps") == [(0,)]


def ordered(scene: Scene, name: str) -> bool:
    """Try to have a deletion accepted, as a client that repeats its call does."""
    try:
        answer = scene.system.delete(name, Prefer="respond-async")
    except (OSError, requests.RequestException):
        return False
    body: dict[str, Any] = answer.body
    found = body.get("deletionId") or body.get("response", {}).get("deletionId")
    if found:
        scene.deletions[name] = found
    return bool(found)
