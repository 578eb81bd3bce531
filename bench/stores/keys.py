"""Keys: one instance's among many, against a hand-written script; and how the cost grows with those that wait."""

import statistics
from collections.abc import Iterator
from uuid import uuid4

from redis import Redis

from bench.figures import Figure
from bench.ground import Ground
from bench.steps import ready, run_step
from bench.timing import timed
from demo.evolution.deployment import Deployment, SeededInstance
from demo.evolution.seed import seed_instance
from shared import services
from shared.services import Services

_OTHERS = {"small": 100_000, "medium": 1_000_000, "large": 1_000_000}
_KEYS = 5_000
_ROUNDS = 3
_AT_ONCE = 5_000


def measure(ground: Ground, scale: str) -> Iterator[Figure]:
    """5,000 keys of the instance, in a keyspace of many others."""
    deployment = ground.deployment()
    made = services.create(ground.settings(deployment, "http://127.0.0.1:9"))
    with deployment.cache() as cache:
        _fill(cache, [(str(uuid4()), f"other {number}") for number in range(200)], _OTHERS[scale] // 200)
        ours, theirs = [], []
        for at in range(_ROUNDS):
            mine, plain = (_seed(deployment, cache, f"{way} {at}") for way in ("ours", "plain"))
            deletion_id = ready(made, mine, "purge_cache")
            theirs.append(timed(lambda: _by_hand(cache, plain)))  # noqa: B023
            ours.append(timed(lambda: run_step(made, deletion_id, "purge_cache")))  # noqa: B023
        what = f"{_KEYS:,} keys among {_OTHERS[scale]:,}"
        yield Figure(what, "a script by hand", statistics.median(ours), statistics.median(theirs), "s")
        alone = _waiting(deployment, made, cache, 1)
        for number in (10, 50):
            yield Figure(
                f"{what}: {number} deletions waiting", "one", _waiting(deployment, made, cache, number), alone, "s"
            )
    made.close()


def _seed(deployment: Deployment, cache: "Redis", name: str, keys: int = _KEYS) -> SeededInstance:
    instance = seed_instance(deployment, name)
    _fill(cache, [(instance.id, name)], keys)
    return instance


def _fill(cache: "Redis", instances: list[tuple[str, str]], keys: int) -> None:
    for instance_id, name in instances:
        half = keys // 2
        written = {f"evolution-cache:baileys:{instance_id}_3EB0{number:012d}_READ": 1 for number in range(half)}
        written |= {f"evolution-cache:ut:{name}:createConversation-55119{number:08d}": 1 for number in range(half)}
        cache.mset(written)


def _by_hand(cache: "Redis", instance: SeededInstance) -> None:
    """Two scans with a pattern, and pipelined unlinks: no check whose a key is."""
    for pattern in (f"evolution-cache:baileys:{instance.id}_*", f"evolution-cache:*:{instance.name}:*"):
        found = list(cache.scan_iter(match=pattern, count=_AT_ONCE))
        with cache.pipeline(transaction=False) as pipeline:
            for key in found:
                pipeline.unlink(key)
            pipeline.execute()


def _waiting(deployment: Deployment, made: Services, cache: "Redis", number: int) -> float:
    """Seconds until the keys of all that wait are gone, one step after the other."""
    instances = [_seed(deployment, cache, f"waits {number} {at}", keys=100) for at in range(number)]
    deletions = [ready(made, instance, "purge_cache") for instance in instances]

    def run_all() -> None:
        for deletion_id in deletions:
            run_step(made, deletion_id, "purge_cache")

    return timed(run_all)
