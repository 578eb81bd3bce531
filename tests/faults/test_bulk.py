"""An order of many with a worker killed in the middle: each is erased once, and a single deletion goes before."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from shared.database.models import UNDER_WAY
from shared.deletions import display, waiting
from tests.faults.scene import PLENTY_SECONDS, Scene

NAMES = tuple(f"one of many {number}" for number in range(60))
SMALL: dict[str, Any] = {"messages": 2, "updates_per_message": 1, "chats": 1, "contacts": 1, "media": 1, "sessions": 1}


@pytest.mark.timeout(600)  # other tests may run on the same cores
def test_a_worker_is_killed_in_the_middle_of_many(make_scene: Callable[..., Scene]) -> None:
    """Every deletion ends, each step ran once at a time, and no neighbour lost anything."""
    scene = make_scene(worker_concurrency=2, wait_seconds=60)
    scene.seed_neighbours()
    scene.seed(*NAMES, "ordered later", **SMALL)
    services = scene.system.make_services()
    scene.start("web", "beat", "worker1", "worker2")

    def wait_for(name: str, seconds: float) -> None:
        deletion_id = UUID(scene.deletions[name])
        waiting.wait_until(
            services.redis,
            deletion_id,
            lambda: display.load_status(services.own, deletion_id).status not in UNDER_WAY,
            seconds,
        )

    answer = scene.system.call("POST", "/deletions", json={"instanceNames": list(NAMES)})
    body = answer.json()
    assert (answer.status_code, body["accepted"]) == (202, len(NAMES))
    scene.deletions |= {each["instanceName"]: each["deletionId"] for each in body["results"]}
    wait_for(NAMES[4], PLENTY_SECONDS)
    single = scene.system.delete("ordered later")
    counts = scene.system.call("GET", f"/deletions?bulk={body['bulkId']}&limit=1").json()["counts"]
    scene.kill("worker1")
    for name in NAMES:
        wait_for(name, 8 * PLENTY_SECONDS)

    assert single.status == 200, single.text
    assert counts["queued"] > len(NAMES) // 2  # they were ordered before it, and did not come before it
    assert display.count_by_status(services.own, UUID(body["bulkId"])) == {"succeeded": len(NAMES)}
    scene.assert_all_gone()
    scene.assert_never_twice()
