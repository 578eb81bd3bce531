"""SIGKILL of the worker's whole process group at every point of every step: nothing is lost, nothing is left."""

from collections.abc import Callable

import pytest

from demo.processes import wait_until
from tasks import pipeline
from tests.faults.scene import PLENTY_SECONDS, Scene

RECOVERY_SECONDS = 45  # takes about 10 on an idle machine: stale_seconds, a round of the reconciler, the work


@pytest.mark.parametrize("moment", ["before", "middle", "after", "committed", "published"])
def test_a_worker_that_dies_in_each_step(running: Callable[[], Scene], moment: str) -> None:
    """Seven deletions, each stopped in another step by one kill; a new worker finishes them all."""
    scene = running()
    points = [f"{moment}-{step}" for step in pipeline.NAMES]
    scene.seed_neighbours()
    scene.seed(*points)
    scene.start("ambushed")
    scene.order(*points)
    wait_until(
        lambda: all((scene.folder / f"{point}.reached").exists() for point in points), PLENTY_SECONDS, "all the points"
    )
    scene.figures.interrupted += len(points)

    scene.kill("ambushed")

    with scene.figures.recovery(f"worker killed {moment}"):
        scene.start("worker")
        scene.wait_for_end(seconds=RECOVERY_SECONDS)
    scene.assert_all_gone()
    scene.assert_never_twice()
    assert scene.own("SELECT sum(failures) FROM steps") == [(0,)]
    scene.system.processes.pop("worker").kill()
