"""Two of everything, and every message several times in any order: each step is claimed once."""

import random
from collections.abc import Callable
from uuid import UUID

import redis

from demo.processes import wait_until
from shared.celery_app import QUEUE
from shared.deletions.republishing import StepMessage
from tasks import pipeline, publishing
from tests.faults.scene import PLENTY_SECONDS, Scene

NAMES = ("one", "two", "three", "four")


def test_every_message_comes_several_times_and_out_of_order(make_scene: Callable[..., Scene]) -> None:
    """Two beats, two workers, and chains from every position, before, during and after the deletion."""
    scene = make_scene(worker_concurrency=4)
    scene.seed_neighbours()
    scene.seed(*NAMES)
    services = scene.system.make_services()
    scene.start("web", "beat1", "beat2", "worker1", "worker2")
    shuffle = random.Random(7).shuffle

    def publish_all() -> None:
        messages = [
            StepMessage(UUID(scene.deletions[name]), 1, position)
            for name in NAMES
            for position in (*range(len(pipeline.NAMES)), *range(len(pipeline.NAMES)))
        ]
        shuffle(messages)
        assert all(publishing.publish(services, message) for message in messages)

    scene.order(*NAMES)
    publish_all()
    scene.wait_for_end()
    publish_all()
    with redis.Redis.from_url(scene.system.settings.redis_url.get_secret_value()) as broker:
        wait_until(lambda: not broker.exists(QUEUE, "unacked"), PLENTY_SECONDS, "the queue to be empty")
    services.close()

    scene.assert_all_gone()
    scene.assert_never_twice()
    assert scene.own("SELECT DISTINCT attempt, failures FROM deletions") == [(1, 0)]
    # confirm may have waited for the gateway's clean-up, and is claimed once more then.
    assert scene.own("SELECT DISTINCT attempts, failures FROM steps WHERE name <> 'confirm'") == [(1, 0)]
    assert len(scene.system.receiver.received) == len(NAMES)
    drops = [path for _, path in scene.system.gateways[0].calls if path.startswith("/instance/delete/")]
    assert len([path for path in drops if "lethe-probe-" not in path]) == len(NAMES)
