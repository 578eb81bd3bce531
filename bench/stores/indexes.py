"""Missing indexes: few integration sessions beside many messages of others, without and with the index."""

import statistics
from collections.abc import Iterator

from sqlalchemy import text

from bench.figures import Figure
from bench.ground import Ground
from bench.rows import plain_way, seed_tenant, settle
from bench.steps import ready, run_step
from bench.timing import timed
from demo.evolution.seed import seed_instance
from shared import services

_MESSAGES = {"small": 20_000, "medium": 500_000, "large": 500_000}
_ROUNDS = 3
_INDEX = 'CREATE INDEX "Message_sessionId_bench" ON "Message" ("sessionId")'


def measure(ground: Ground, scale: str) -> Iterator[Figure]:
    """100 sessions and 1,000 messages of the instance; the others have far more."""
    deployment = ground.deployment()
    made = services.create(ground.settings(deployment, "http://127.0.0.1:9"))
    seed_tenant(deployment, "others", _MESSAGES[scale])

    def both(kind: str) -> tuple[float, float]:
        ours, theirs = [], []
        for at in range(_ROUNDS):
            mine, plain = (
                seed_instance(deployment, f"{kind} {way} {at}", messages=1_000, sessions=100)
                for way in ("ours", "plain")
            )
            deletion_id = ready(made, mine, "delete_records")
            settle(made)
            for way in ("ours", "theirs") if at % 2 else ("theirs", "ours"):
                if way == "theirs":
                    theirs.append(timed(lambda: plain_way(made, plain)))  # noqa: B023
                else:
                    ours.append(timed(lambda: run_step(made, deletion_id, "delete_records")))  # noqa: B023
        return statistics.median(ours), statistics.median(theirs)

    without = both("without")
    with made.tenant.engine.begin() as connection:
        connection.execute(text(_INDEX))
    with_index = both("with")
    made.close()
    what = f"100 sessions beside {_MESSAGES[scale]:,} messages"
    yield Figure(f"{what}, no index", "one DELETE per table", *without, "s", at_most=0.1)
    yield Figure(f"{what}, indexed", "one DELETE per table", *with_index, "s")
    yield Figure(f"{what}: what the index saves", "without it", with_index[0], without[0], "s")
