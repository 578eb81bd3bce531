"""Small deletions are not kept waiting by giants."""

import time
from collections.abc import Callable

from demo.processes import wait_until
from tests.faults.scene import PLENTY_SECONDS, Scene, make_fast, make_slow

YIELD_SECONDS = 1
GIANTS = ("giant 1", "giant 2")
LONE = tuple(f"lone {number}" for number in range(5))
AT_ONCE = tuple(f"small {number}" for number in range(50))


def test_small_deletions_beside_two_giants(make_scene: Callable[..., Scene]) -> None:
    """Two giants fill the worker's two places: small ones, one by one and fifty at once, end long before them."""
    # Calls wait as long as they may: a busy machine changes the figures alone.
    scene = make_scene(yield_seconds=YIELD_SECONDS, slice_seconds=20, batch_seconds=0.1, wait_seconds=60)
    scene.seed_neighbours()
    scene.seed(*GIANTS, messages=20_000, updates_per_message=0)
    scene.seed(*LONE, *AT_ONCE, messages=5, media=1)
    for giant in GIANTS:
        make_slow(scene, giant, seconds=480)  # nobody waits for it: they are made fast before
    scene.start("web", "beat", "worker")
    scene.order(*GIANTS)
    wait_until(
        lambda: all(scene.step(giant, "delete_records")["status"] == "running" for giant in GIANTS),
        PLENTY_SECONDS,
        "both giants to be worked on",
    )

    lone = [seconds_until_deleted(scene, name) for name in LONE]
    scene.order(*AT_ONCE)
    scene.wait_for_end(*AT_ONCE, seconds=4 * PLENTY_SECONDS)
    giants = [(scene.show(giant)["status"], scene.step(giant, "delete_records")["status"]) for giant in GIANTS]
    at_once = scene.own(
        "SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - accepted_at))"
        " FROM deletions WHERE instance_name LIKE 'small%'"
    )[0][0]

    scene.figures.notes.append(
        f"small deletions beside two giants: one by one at most {max(lone):.1f} s, fifty at once p95 {at_once:.1f} s"
    )
    # The order is what matters: each small one has ended, and no giant. How long they took is a figure.
    assert giants == [("running", "running")] * 2
    make_fast(scene)
    scene.wait_for_end(*GIANTS)
    scene.assert_all_gone()
    scene.assert_never_twice()


def seconds_until_deleted(scene: Scene, name: str) -> float:
    """How long the documented call takes until it says SUCCESS."""
    began = time.monotonic()
    answer = scene.system.delete(name)
    took = time.monotonic() - began
    assert answer.status == 200, answer.text
    scene.figures.finished += 1
    return took
