"""SIGTERM during a long step: the deletion goes on at the next worker, and deploys use nothing up."""

from collections.abc import Callable

import pytest

from demo.processes import wait_until
from tests.faults.scene import PLENTY_SECONDS, Scene, make_fast, make_slow

# Long enough that no deploy of these tests is saved by the end of a slice.
LONG_SLICES = {"slice_seconds": 20, "yield_seconds": 15, "batch_seconds": 0.1}


DEPLOYS = 10


@pytest.fixture
def busy(make_scene: Callable[..., Scene]) -> Scene:
    """A giant whose messages are being erased."""
    scene = make_scene(**LONG_SLICES)
    scene.seed_neighbours()
    scene.seed("giant", messages=60_000, updates_per_message=0)
    make_slow(scene, "giant", seconds=200)
    scene.start("web", "beat", "worker1")
    scene.order("giant")
    wait_until(lambda: erased(scene) > 0, PLENTY_SECONDS, "the first batch")
    return scene


def erased(scene: Scene) -> int:
    """Messages of the giant that are written down as removed."""
    removed: dict[str, int] = scene.step("giant", "delete_records")["removed"]
    return removed.get("Message", 0)


def test_ten_deploys_in_a_row_use_nothing_up(busy: Scene) -> None:
    """Each time the next worker starts at once, and goes on within seconds after the old one has left."""
    for number in range(1, DEPLOYS + 1):
        leaving = busy.process(f"worker{number}")
        busy.figures.deploys += 1
        leaving.popen.terminate()
        busy.start(f"worker{number + 1}")
        assert leaving.popen.wait(PLENTY_SECONDS) == 0
        before = erased(busy)
        with busy.figures.recovery("deploy"):
            wait_until(lambda before=before: erased(busy) > before, PLENTY_SECONDS, "progress at the new worker")
    shown = busy.show("giant")
    make_fast(busy)
    busy.wait_for_end()

    assert (shown["attempt"], shown["status"]) == (1, "running")
    busy.assert_never_twice()
    busy.assert_all_gone()
    assert busy.own("SELECT attempt, failures, nudges FROM deletions") == [(1, 0, 0)]
    assert busy.own("SELECT sum(failures) FROM steps") == [(0,)]
    records = busy.step("giant", "delete_records")
    assert records["removed"]["Message"] == records["planned"]["Message"]
    assert not records["atLeast"]
    assert records["attempts"] >= DEPLOYS
