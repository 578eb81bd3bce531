"""Small deletions are not kept waiting by giants."""

from collections.abc import Callable

from demo.processes import wait_until
from tests.faults.scene import PLENTY_SECONDS, Scene, make_fast, make_slow

YIELD_SECONDS = 1
SLICES = 20  # each of a small one's seven steps may have to wait for one, and so may those of the others before it
SMALL = tuple(f"small {number}" for number in range(30))
GIANTS = ("giant 1", "giant 2")


def test_small_deletions_beside_two_giants(make_scene: Callable[..., Scene]) -> None:
    """Two giants would fill the worker's two places: thirty small ones end long before them."""
    scene = make_scene(yield_seconds=YIELD_SECONDS, slice_seconds=20, batch_seconds=0.1)
    scene.seed_neighbours()
    scene.seed(*GIANTS, messages=5_000, updates_per_message=0)
    scene.seed(*SMALL, messages=5, media=1)
    for giant in GIANTS:
        make_slow(scene, giant, seconds=60)
    scene.start("web", "beat", "worker")
    scene.order(*GIANTS)
    wait_until(
        lambda: all(scene.step(giant, "delete_records")["status"] == "running" for giant in GIANTS),
        PLENTY_SECONDS,
        "both giants to be worked on",
    )

    scene.order(*SMALL)
    scene.wait_for_end(*SMALL)
    giants = [scene.show(giant)["status"] for giant in GIANTS]
    took = scene.own(
        "SELECT percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - accepted_at))"
        " FROM deletions WHERE instance_name LIKE 'small%%'"
    )[0][0]

    scene.figures.notes.append("small ones beside two giants: median {:.1f} s, p95 {:.1f} s".format(*took))
    assert giants == ["running", "running"]
    assert took[1] < SLICES * YIELD_SECONDS
    make_fast(scene)
    scene.wait_for_end(*GIANTS)
    scene.assert_all_gone()
    scene.assert_never_twice()
