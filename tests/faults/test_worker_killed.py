"""SIGKILL of the worker's whole process group at every point of every step: nothing is lost, nothing is left."""

import pytest

from demo.processes import wait_until
from tasks import pipeline
from tests.faults.scene import PLENTY_SECONDS, Scene

RECOVERY_SECONDS = 45  # takes about 10 on an idle machine: stale_seconds, a round of the reconciler, the work


@pytest.mark.parametrize("moment", ["before", "middle", "after", "committed", "published"])
def test_a_worker_that_dies_in_each_step(scene: Scene, moment: str) -> None:
    """Seven deletions, each stopped in another step by one kill; a new worker finishes them all."""
    points = [f"{moment}-{step}" for step in pipeline.NAMES]
    scene.seed_neighbours()
    scene.seed(*points)
    scene.start("ambushed")
    # First the one that a pass over all keys for the others would serve, so that its own had no middle any more.
    shared_pass = f"{moment}-purge_cache"
    scene.order(shared_pass)
    _wait_until_reached(scene, shared_pass)
    scene.order(*(point for point in points if point != shared_pass))
    _wait_until_reached(scene, *points)
    scene.figures.interrupted += len(points)

    scene.kill("ambushed")

    with scene.figures.recovery(f"worker killed {moment}"):
        scene.start("worker")
        scene.wait_for_end(seconds=RECOVERY_SECONDS)
    scene.assert_all_gone()
    scene.assert_never_twice()
    assert scene.own("SELECT sum(failures) FROM steps") == [(0,)]


def _wait_until_reached(scene: Scene, *points: str) -> None:
    def missing() -> set[str]:
        return {point for point in points if not (scene.folder / f"{point}.reached").exists()}

    wait_until(lambda: not missing(), PLENTY_SECONDS, f"all of {', '.join(points)} to be reached")
