"""Rows: the step delete_records against one DELETE per table, in order, autocommit; also how it grows."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import sql

from bench.figures import Figure
from bench.ground import Ground
from bench.steps import ready, run_step
from bench.timing import timed
from demo.evolution.deployment import Deployment, SeededInstance
from demo.evolution.seed import seed_instance
from shared import services
from shared.services import Services

_SIZES = {"small": (10_000,), "medium": (100_000, 500_000), "large": (100_000, 2_000_000)}
_AT_MOST = {100_000: 0.25, 500_000: 0.25, 2_000_000: 0.25}
_ROUNDS = {10_000: 3, 100_000: 5, 500_000: 3, 2_000_000: 1}
_WAYS = ("theirs", "ours", "always")  # the last with triggers


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


def settle(deployment: Deployment) -> None:
    """Let nothing that seeding left to do run into a measurement, such as what the first reads of new rows write."""
    with psycopg.connect(deployment.database_url, autocommit=True) as connection:
        connection.execute("VACUUM (FREEZE, ANALYZE)")
        connection.execute("CHECKPOINT")


@dataclass(frozen=True)
class Template:
    """A deployment of which each round deletes an instance on a copy, so that no round leaves traces for another."""

    ground: Ground
    deployment: Deployment
    instance: SeededInstance

    @classmethod
    def of(cls, ground: Ground, deployment: Deployment, instance: SeededInstance) -> "Template":
        """Of a deployment that is not used any more."""
        settle(deployment)
        return cls(ground, deployment, instance)

    @contextmanager
    def deletion(self, way: str) -> Iterator[tuple[Deployment, Callable[[], object]]]:
        """A copy, and what deletes the instance from it in one of the ways."""
        with self.ground.copy(self.deployment) as copy:
            triggers = "always" if way == "always" else "auto"
            made = services.create(self.ground.settings(copy, "http://127.0.0.1:9", row_triggers=triggers))
            try:
                yield copy, self._act(made, way)
            finally:
                made.close()

    def _act(self, made: Services, way: str) -> Callable[[], object]:
        if way == "theirs":
            return partial(plain_way, made, self.instance)
        return partial(run_step, made, ready(made, self.instance, "delete_records"), "delete_records")

    def take_turns(self, rounds: int) -> dict[str, list[float]]:
        """Seconds of each way, round by round."""
        took: dict[str, list[float]] = {way: [] for way in _WAYS}
        for at in range(rounds):
            for way in _WAYS if at % 2 else reversed(_WAYS):
                with self.deletion(way) as (_, act):
                    took[way].append(timed(act))
        return took


def measure(ground: Ground, scale: str) -> Iterator[Figure]:
    """Each size against the plain way; in the end, time per row of the largest against that of 100,000."""
    per_row: dict[int, float] = {}
    for messages in _SIZES[scale]:
        deployment = ground.deployment()
        seed_tenant(deployment, "neighbour", messages)
        took = Template.of(ground, deployment, seed_tenant(deployment, "ours", messages)).take_turns(_ROUNDS[messages])
        ours, theirs, always = (statistics.median(took[way]) for way in ("ours", "theirs", "always"))
        per_row[messages] = ours / messages
        what = f"rows of {messages:,} messages"
        yield Figure(what, "one DELETE per table", ours, theirs, "s", at_most=_AT_MOST.get(messages), notes=dict(took))
        yield Figure(f"{what}, with triggers", "one DELETE per table", always, theirs, "s", at_most=1.0)
    largest, usual = max(per_row), 100_000
    if largest > usual:
        yield Figure(f"time per message at {largest:,}", f"at {usual:,}", per_row[largest] * 1e6, per_row[usual] * 1e6,
                     "us", at_most=1.15)  # fmt: skip
