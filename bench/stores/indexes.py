"""Missing indexes: few integration sessions beside many messages of others, without and with the index."""

import statistics
from collections.abc import Iterator

import psycopg

from bench.figures import Figure
from bench.ground import Ground
from bench.rows import Template, seed_tenant
from demo.evolution.seed import seed_instance

_MESSAGES = {"small": 20_000, "medium": 500_000, "large": 500_000}
_ROUNDS = 3
_INDEX = 'CREATE INDEX "Message_sessionId_bench" ON "Message" ("sessionId")'


def measure(ground: Ground, scale: str) -> Iterator[Figure]:
    """100 sessions and 1,000 messages of the instance; the others have far more."""
    deployment = ground.deployment()
    seed_tenant(deployment, "others", _MESSAGES[scale])
    instance = seed_instance(deployment, "ours", messages=1_000, sessions=100)

    def each() -> dict[str, float]:
        took = Template.of(ground, deployment, instance).take_turns(_ROUNDS)
        return {way: statistics.median(seconds) for way, seconds in took.items()}

    without = each()
    with psycopg.connect(deployment.database_url, autocommit=True) as connection:
        connection.execute(_INDEX)
    with_index = each()
    what = f"100 sessions beside {_MESSAGES[scale]:,} messages"
    yield Figure(f"{what}, no index", "one DELETE per table", without["ours"], without["theirs"], "s", at_most=0.1)
    yield Figure(f"{what}, no index, with triggers", "one DELETE per table", without["always"], without["theirs"], "s")
    yield Figure(f"{what}, indexed", "one DELETE per table", with_index["ours"], with_index["theirs"], "s")
    yield Figure(f"{what}: what the index saves", "without it", with_index["ours"], without["ours"], "s")
