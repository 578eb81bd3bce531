"""A worker that dies when the moment of a scheduled deletion comes, and an order while nobody runs."""

from datetime import UTC, datetime, timedelta

from demo.processes import wait_until
from tests.faults.scene import PLENTY_SECONDS, Scene

MOVE = "UPDATE deletions SET not_before = now() + %s * interval '1 second' WHERE status = 'scheduled'"


def schedule(scene: Scene, *names: str) -> None:
    """Have deletions accepted that begin in an hour."""
    moment = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for name in names:
        answer = scene.system.call("POST", "/deletions", json={"instanceName": name, "notBefore": moment})
        assert (answer.status_code, answer.json()["status"]) == (202, "scheduled")
        scene.deletions[name] = answer.json()["id"]


def test_a_worker_that_dies_at_the_moment(scene: Scene) -> None:
    """It has claimed the first step, or done it; a new worker finishes what begins, once, and nothing began early."""
    points = ["before-logout", "committed-logout"]
    scene.seed_neighbours()
    scene.seed(*points)
    scene.start("ambushed")
    schedule(scene, *points)
    rounds = scene.own("SELECT ticked_at FROM clocks WHERE name = 'reconciler'")
    wait_until(
        lambda: scene.own("SELECT ticked_at FROM clocks WHERE name = 'reconciler'") != rounds,
        PLENTY_SECONDS,
        "a round of the reconciler",
    )
    before = scene.own(
        "SELECT d.status, attempts FROM deletions d JOIN steps ON deletion_id = d.id WHERE name = 'logout'"
    )
    scene.own(MOVE, 0.5)
    wait_until(
        lambda: all((scene.folder / f"{point}.reached").exists() for point in points), PLENTY_SECONDS, "both points"
    )

    scene.kill("ambushed")

    with scene.figures.recovery("worker killed at the moment"):
        scene.start("worker")
        scene.wait_for_end()
    assert before == [("scheduled", 0)] * 2
    assert scene.own("SELECT 1 FROM deletions WHERE started_at < not_before") == []
    scene.assert_all_gone()
    scene.assert_never_twice()


def test_a_moment_that_comes_while_no_worker_runs(scene: Scene) -> None:
    """The next worker begins it."""
    scene.seed_neighbours()
    scene.seed("missed")
    schedule(scene, "missed")
    scene.own(MOVE, 0)

    scene.start("worker")

    scene.wait_for_end()
    scene.assert_all_gone()
    scene.assert_never_twice()
