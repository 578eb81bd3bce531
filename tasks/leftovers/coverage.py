"""What a deletion does not erase although it may be the instance's, and what its rehearsal could not try."""

from collections.abc import Iterator
from dataclasses import dataclass

from shared.errors import NotThere, TookTooLong
from shared.evolution.rows.rehearsal import uncovered
from shared.evolution.rows.schema import OWNER_COLUMN, quote
from shared.services import Services
from shared.translations.marks import N_
from tasks.context import Context, Target

_NOTE = "not_covered"  # of deregister; the receipt quotes it
_MEDIA = "Media"
_IN_USE = " AND (enabled OR CAST(events AS text) <> '[]')"  # of a channel: the logout has switched it off

Seen = tuple[list[str], set[str]]  # sentences on the database, and the tables that hold instances' rows


@dataclass(frozen=True)
class Coverage:
    """Sentences for previews and `lethe doctor`; the first ones also for the receipt."""

    not_covered: tuple[str, ...]
    not_rehearsed: tuple[str, ...]


def look(target: Target) -> Coverage:
    """For an instance whose steps were rehearsed in this process."""
    found = _not_covered(target, _look_into_the_database(target.services))
    return Coverage(tuple(found), tuple(target.services.row_rehearsal.untried()))


def standing(services: Services) -> list[str]:
    """What no look reaches in this deployment, of whichever instance it is."""
    found, _ = services.rehearsed.answer("not covered", lambda: _look_into_the_database(services))
    return [*found, *_stores_not_set(services).values()]


def note(ctx: Context) -> None:
    """Note what stays behind, once and before anything is moved away; for the receipt."""
    if _NOTE in ctx.notes:
        return
    services = ctx.services
    known = services.rehearsed.answer("not covered", lambda: _look_into_the_database(services))
    try:
        found = _not_covered(ctx, known)
    except NotThere:  # the tables were migrated since then
        found = _not_covered(ctx, _look_into_the_database(services))
    ctx.note(**{_NOTE: found})


def _not_covered(target: Target, seen: Seen) -> list[str]:
    found, tables = seen
    try:
        return [*found, *_of_the_instance(target, tables)]
    except TookTooLong as error:  # no reason to stop a deletion
        return [*found, N_(f"what could not be looked for: {error.title}")]


def _look_into_the_database(services: Services) -> Seen:
    """The same for every instance, and so remembered for some minutes."""
    plan = services.tenant.plan()
    return uncovered.find(services.tenant, plan), {owned.table for owned in plan.tables}


def _of_the_instance(target: Target, tables: set[str]) -> Iterator[str]:
    """Of stores that its rows speak of, and that Lethe is not told of, and of media."""
    stores, tenant = _stores_not_set(target.services), target.services.tenant
    query = " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS"
        f" (SELECT 1 FROM {tenant.table(table)} WHERE {quote(OWNER_COLUMN)} = :id{_IN_USE if table != _MEDIA else ''})"
        for table in stores
        if table in tables
    )
    for (table,) in tenant.ask(query, {"id": target.instance_id}) if query else []:
        yield stores[table]
    for storage in target.services.storages:
        yield from storage.uncovered(target.instance_id, target.instance_name, target.other_names)


def _stores_not_set(services: Services) -> dict[str, str]:
    """By the table whose row speaks of it."""
    settings, stores = services.settings, dict[str, str]()
    if settings.kafka_url is None:
        stores["Kafka"] = N_("topics of the instance in Kafka: LETHE_KAFKA_URL is not set")
    if settings.rabbitmq_url is None:
        stores["Rabbitmq"] = N_("queues and exchanges of the instance in RabbitMQ: LETHE_RABBITMQ_URL is not set")
    if settings.sqs_region is None:
        stores["Sqs"] = N_("queues of the instance in SQS: LETHE_SQS_REGION is not set")
    if settings.s3_bucket is None:
        stores[_MEDIA] = N_("objects of the instance in S3: LETHE_S3_BUCKET is not set")
    return stores
