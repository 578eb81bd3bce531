"""Rows: the step delete_records against one DELETE per table, in order, autocommit; also how it grows."""

import statistics
from collections.abc import Iterator

import psycopg
from psycopg import sql
from sqlalchemy import text

from bench.figures import Figure
from bench.ground import Ground
from bench.steps import ready, run_step
from bench.timing import timed
from demo.evolution.deployment import Deployment, SeededInstance
from demo.evolution.seed import seed_instance
from shared import services
from shared.services import Services

_SIZES = {
    "small": (10_000,),
    "medium": (10_000, 100_000, 500_000),
    "large": (100_000, 2_000_000),
}
_AT_MOST = {100_000: 0.25, 500_000: 0.25, 2_000_000: 0.25}
_TIMES = {10_000: 3, 100_000: 3, 500_000: 3, 2_000_000: 1}


def seed_tenant(deployment: Deployment, name: str, messages: int, sessions: int = 100) -> SeededInstance:
    """Two updates a message, 1/20 media, 1/50 chats and contacts."""
    return seed_instance(
        deployment, name, messages=messages, media=messages // 20, chats=messages // 50, contacts=messages // 50,
        sessions=sessions,
    )  # fmt: skip


def plain_way(made: Services, instance: SeededInstance) -> None:
    """One DELETE per table of the plan, each its own transaction."""
    plan = made.tenant.plan()
    url = made.settings.tenant_database_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as connection:
        for owned in plan.tables:
            statement = f"DELETE FROM {made.tenant.table(owned.table)} WHERE {owned.predicate}"
            connection.execute(sql.SQL(statement.replace(":id", "%(id)s")), {"id": instance.id})


def settle(made: Services) -> None:
    """Let nothing that an earlier round left run into the next one."""
    with made.tenant.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))


def measure(ground: Ground, scale: str) -> Iterator[Figure]:
    """Each size against the plain way; in the end, time per row of the largest against that of 100,000."""
    per_row: dict[int, float] = {}
    for messages in _SIZES[scale]:
        took = _take_turns(ground, messages)
        ours, theirs = statistics.median(took["ours"]), statistics.median(took["theirs"])
        per_row[messages] = ours / messages
        what = f"rows of {messages:,} messages"
        yield Figure(what, "one DELETE per table", ours, theirs, "s", at_most=_AT_MOST.get(messages), notes=dict(took))
        always = statistics.median(took["always"])
        yield Figure(f"{what}, with triggers", "one DELETE per table", always, theirs, "s", at_most=1.0)
    largest, usual = max(per_row), 100_000
    if largest > usual:
        yield Figure(f"time per message at {largest:,}", f"at {usual:,}", per_row[largest] * 1e6, per_row[usual] * 1e6,
                     "us", at_most=1.15)  # fmt: skip


def _take_turns(ground: Ground, messages: int) -> dict[str, list[float]]:
    """Seconds of each way, round by round; beside a neighbour that has as much."""
    deployment = ground.deployment()
    ours = services.create(ground.settings(deployment, "http://127.0.0.1:9"))
    made = {
        "theirs": ours,
        "ours": ours,
        "always": services.create(ground.settings(deployment, "http://127.0.0.1:9", row_triggers="always")),
    }
    seed_tenant(deployment, "neighbour", messages)
    took: dict[str, list[float]] = {way: [] for way in made}
    for at in range(_TIMES[messages]):
        for way in made if at % 2 else reversed(made):
            instance = seed_tenant(deployment, f"{way} {at}", messages)
            deletion_id = ready(made[way], instance, "delete_records")
            settle(ours)
            if way == "theirs":
                took[way].append(timed(lambda: plain_way(ours, instance)))  # noqa: B023
            else:
                took[way].append(timed(lambda: run_step(made[way], deletion_id, "delete_records")))  # noqa: B023
    for each in {id(each): each for each in made.values()}.values():
        each.close()
    return took
