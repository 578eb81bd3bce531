"""Exports: an archive of an instance against one COPY of the rows of its largest table as JSON."""

import statistics
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from bench.figures import Figure
from bench.ground import Ground
from bench.rows import seed_tenant, settle
from bench.timing import timed
from demo.evolution.deployment import SeededInstance
from shared import services
from shared.audit.entries import Actor
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from tasks.orders import export

_SIZES = {"small": 100_000, "medium": 100_000, "large": 1_000_000}
_ROUNDS = 3


def plain_way(made: Services, instance: SeededInstance, folder: Path) -> None:
    """Every table of the plan, each with one COPY into a file."""
    url = made.settings.tenant_database_url.get_secret_value()
    folder.mkdir()
    with psycopg.connect(url) as connection:
        for owned in made.tenant.plan().tables:
            where = owned.predicate.replace(":id", "%(id)s")
            query = f"COPY (SELECT row_to_json(t) FROM {made.tenant.table(owned.table)} t WHERE {where}) TO STDOUT"
            with (
                open(folder / owned.table, "wb") as file,
                connection.cursor().copy(sql.SQL(query), {"id": instance.id}) as copy,
            ):
                for row in copy:
                    file.write(row)


def archive(made: Services, instance: SeededInstance, folder: Path) -> None:
    """As `lethe export` does it: with both stages, hashed, and read back."""
    folder.mkdir()
    wanted = export.Wanted(Instance(instance.id, instance.name, None), str(folder))
    export.run(made, Actor("server"), wanted, lambda stream, items: None)  # noqa: ARG005


def measure(ground: Ground, scale: str) -> Iterator[Figure]:
    """The same instance both ways, in turn, beside a neighbour that has as much."""
    messages = _SIZES[scale]
    deployment = ground.deployment()
    made = services.create(ground.settings(deployment, "http://127.0.0.1:9"))
    seed_tenant(deployment, "neighbour", messages)
    instance = seed_tenant(deployment, "exported", messages)
    settle(deployment)
    took: dict[str, list[float]] = {"ours": [], "theirs": []}
    for at in range(_ROUNDS):
        ours, theirs = ground.folder / f"ours-{at}", ground.folder / f"theirs-{at}"
        took["theirs"].append(timed(lambda: plain_way(made, instance, theirs)))  # noqa: B023
        took["ours"].append(timed(lambda: archive(made, instance, ours)))  # noqa: B023
    made.close()
    yield Figure(
        f"export of {messages:,} messages", "COPY of row_to_json", statistics.median(took["ours"]),
        statistics.median(took["theirs"]), "s", at_most=2.0, notes=dict(took),
    )  # fmt: skip
