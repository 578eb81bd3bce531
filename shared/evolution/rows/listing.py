"""Lists instances for people: by name, a page at a time, with what is cheap to know about each."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from shared.errors import TransientError, Unreachable
from shared.evolution.rows.schema import ROOT
from shared.evolution.rows.tenant import NOT_RESERVED, Instance, Tenant, may_look

MANY = 10_000  # messages: enough to tell large from small, and few enough to be counted for a page of instances
_COUNT_SECONDS = 2  # without an index, or with a cold one, a list is no reason to read a large table


@dataclass(frozen=True)
class Listed:
    """An instance as a list shows it."""

    id: str
    name: str
    state: str  # of its connection, as Evolution last wrote it down
    messages: int | None  # counted up to one more than MANY; None when that took too long


@dataclass(frozen=True)
class Disconnected:
    """An instance that is not connected, and since when."""

    id: str
    name: str
    since: datetime


def look(tenant: Tenant, instance_id: str) -> Listed | None:
    """One instance; None if there is none of that id."""
    found = _select(tenant, "id = :id", {"id": instance_id})
    return found[0] if found else None


def find_page(
    tenant: Tenant, *, wanted: str = "", names: Collection[str] | None = None, after: str = "", limit: int = 25
) -> list[Listed]:
    """Instances whose name holds the text or whose id begins with it, behind the one of the id `after`.

    names are those that may be shown, None is all.
    """
    if not tenant.can_hold(wanted + after):  # no instance is called that
        return []
    behind = f"(SELECT name FROM {tenant.table(ROOT)} WHERE id = :after)"
    condition = (
        "(CAST(:names AS text[]) IS NULL OR name = ANY(:names))"
        " AND (strpos(lower(name), lower(:wanted)) > 0 OR starts_with(id, :wanted))"
        f" AND name > coalesce({behind}, '')"
    )
    values = {"names": None if names is None else list(names), "wanted": wanted, "after": after, "limit": limit}
    return _select(tenant, condition, values, " ORDER BY name LIMIT :limit")


def find_all(
    tenant: Tenant, *, names: Collection[str] | None = None, instance_ids: Collection[str] | None = None
) -> list[Instance]:
    """The instances that have these names, or these ids, in one query."""
    column, values = ("name", names) if names is not None else ("id", instance_ids or ())
    query = f"SELECT id, name, token FROM {tenant.table(ROOT)} WHERE {column} = ANY(:values) AND {NOT_RESERVED}"
    wanted = [value for value in values if tenant.can_hold(value)]
    with may_look():
        return [Instance(*row) for row in tenant.ask(query, {"values": wanted})]


def states(tenant: Tenant, instance_ids: Collection[str]) -> list[str]:
    """The states of their connections, as Evolution last wrote them down."""
    query = f'SELECT CAST("connectionStatus" AS text) FROM {tenant.table(ROOT)} WHERE id = ANY(:ids)'
    return [state for (state,) in tenant.ask(query, {"ids": list(instance_ids)})]


def find_disconnected(tenant: Tenant, seconds: float) -> list[Disconnected]:
    """The instances whose connection is closed, and was closed at least so long ago; the oldest first.

    disconnectionAt is in UTC, and NULL where Evolution does not know: such an instance is never found.
    """
    query = (
        "SELECT id, name, \"disconnectionAt\" AT TIME ZONE 'UTC' FROM "
        + tenant.table(ROOT)
        + " WHERE "
        + NOT_RESERVED
        + " AND CAST(\"connectionStatus\" AS text) = 'close'"
        " AND \"disconnectionAt\" AT TIME ZONE 'UTC' <= now() - :seconds * interval '1 second'"
        ' ORDER BY "disconnectionAt", id'
    )
    with may_look():
        return [Disconnected(*row) for row in tenant.ask(query, {"seconds": seconds})]


def was_connected_since(tenant: Tenant, instance_id: str, moment: datetime) -> bool:
    """Whether Evolution wrote down that the instance was connected, or lost its connection, after the moment."""
    query = (
        "SELECT 1 FROM " + tenant.table(ROOT) + " WHERE id = :id AND (CAST(\"connectionStatus\" AS text) <> 'close'"
        " OR \"disconnectionAt\" AT TIME ZONE 'UTC' > :moment)"
    )
    return bool(tenant.ask(query, {"id": instance_id, "moment": moment}))


def _select(tenant: Tenant, condition: str, values: Mapping[str, Any], order: str = "") -> list[Listed]:
    query = text(
        f'SELECT id, name, CAST("connectionStatus" AS text) AS state FROM {tenant.table(ROOT)}'
        f" WHERE {NOT_RESERVED} AND {condition}{order}"
    )
    with tenant.transaction() as connection:
        rows = connection.execute(query, values).all()
    counted = _count_messages(tenant, [row.id for row in rows])
    return [Listed(row.id, row.name, row.state, counted.get(row.id)) for row in rows]


def _count_messages(tenant: Tenant, instance_ids: list[str]) -> dict[str, int]:
    """Messages by instance; nothing when they cannot be counted in time. The planner's guess can be far off."""
    query = text(
        "SELECT wanted.id, counted.messages FROM unnest(CAST(:ids AS text[])) AS wanted(id) CROSS JOIN LATERAL"
        f" (SELECT count(*) AS messages FROM (SELECT 1 FROM {tenant.table('Message')}"
        ' WHERE "instanceId" = wanted.id LIMIT :enough) AS first_ones) AS counted'
    )
    try:
        with tenant.transaction(statement_seconds=_COUNT_SECONDS) as connection:
            # Of few instances the planner expects many rows each, and would read the whole table for one that has few.
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            found = connection.execute(query, {"ids": instance_ids, "enough": MANY + 1}).all()
    except TransientError as error:
        if isinstance(error, Unreachable):
            raise
        return {}
    return {row.id: row.messages for row in found}
