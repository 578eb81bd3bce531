"""A gateway that is away for hours, with the clock turned instead of waited for, or for a moment, without beat."""

from collections.abc import Callable

from demo.processes import wait_until
from tests.faults.scene import PLENTY_SECONDS, Scene

HOURS = 5  # of the 24 in deadline_seconds


def test_hours_without_a_gateway(make_scene: Callable[..., Scene]) -> None:
    """Waiting uses nothing up; past the deadline the deletion fails with step and reason, and can be resumed."""
    scene = make_scene(retry_seconds=0.3)
    gateway = scene.system.gateways[0]
    scene.seed_neighbours()
    scene.seed("patient", "overdue")
    scene.start("web", "beat", "worker")
    gateway.stop()
    scene.order("patient", "overdue")
    scene.wait_for_waiting("patient")
    scene.wait_for_waiting("overdue")

    for _ in range(HOURS):
        tries = scene.step("patient", "logout")["attempts"]
        turn_clock(scene, "patient", "1 hour")
        wait_until(
            lambda tries=tries: scene.step("patient", "logout")["attempts"] > tries, PLENTY_SECONDS, "the next try"
        )
        scene.wait_for_waiting("patient")
    turn_clock(scene, "overdue", "25 hours")
    wait_until(lambda: scene.show("overdue")["status"] == "failed", PLENTY_SECONDS, "the deadline")

    assert scene.own("SELECT DISTINCT failures FROM deletions") == [(0,)]
    overdue = scene.show("overdue")
    assert overdue["failedStep"] == "logout"
    assert gateway.url in overdue["reason"]
    assert "cannot be reached" in overdue["reason"]
    gateway.start()
    with scene.figures.recovery("gateway away for hours"):
        turn_clock(scene, "patient", "0 hours")
        scene.wait_for_end("patient")
    retried = scene.system.call("POST", f"/deletions/{scene.deletions['overdue']}/retry", json={})
    assert retried.status_code == 202, retried.text
    scene.wait_for_end("overdue")
    scene.assert_all_gone()
    scene.assert_never_twice()


def test_the_worker_that_put_it_off_dies_in_the_pause(make_scene: Callable[..., Scene]) -> None:
    """The next worker goes on when the pause is over, without beat."""
    scene = make_scene(retry_seconds=0.3, pause_seconds=5, max_pause_seconds=5, reconcile_seconds=30)
    gateway = scene.system.gateways[0]
    scene.seed_neighbours()
    scene.seed("orphaned")
    scene.start("web", "worker1")
    gateway.stop()
    scene.order("orphaned")
    scene.wait_for_waiting("orphaned")

    scene.kill("worker1")
    gateway.start()
    with scene.figures.recovery("worker killed while it had put a deletion off"):
        scene.start("worker2")
        scene.wait_for_end(seconds=25)

    scene.assert_all_gone()
    scene.assert_never_twice()
    assert scene.own("SELECT attempt, failures FROM deletions") == [(1, 0)]
    assert scene.own("SELECT name FROM clocks WHERE name = 'reconciler'") == []


def turn_clock(scene: Scene, name: str, interval: str) -> None:
    """Make a deletion as if it had waited longer, and due now."""
    scene.own(
        "UPDATE deletions SET waiting_since = waiting_since - %s::interval, next_attempt_at = now() WHERE id = %s",
        interval,
        scene.deletions[name],
    )
