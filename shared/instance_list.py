"""Lists instances for people: by name, a page at a time, with what is cheap to know about each."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from shared import tenant_rows
from shared.tenant import NOT_RESERVED, Tenant
from shared.tenant_schema import ROOT, Owned

# What makes an instance large. Counting it would read it: the planner's estimate is enough to tell large from small.
_MESSAGES = Owned("Message", '"instanceId" = :id', indexed=True)


@dataclass(frozen=True)
class Listed:
    """An instance as a list shows it."""

    id: str
    name: str
    state: str  # of its connection, as Evolution last wrote it down
    messages: int  # estimated


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
    if "\x00" in wanted + after:  # PostgreSQL text cannot hold NUL, so nobody is called that
        return []
    behind = f"(SELECT name FROM {tenant.table(ROOT)} WHERE id = :after)"
    condition = (
        "(CAST(:names AS text[]) IS NULL OR name = ANY(:names))"
        " AND (strpos(lower(name), lower(:wanted)) > 0 OR starts_with(id, :wanted))"
        f" AND name > coalesce({behind}, '')"
    )
    values = {"names": None if names is None else list(names), "wanted": wanted, "after": after, "limit": limit}
    return _select(tenant, condition, values, " ORDER BY name LIMIT :limit")


def _select(tenant: Tenant, condition: str, values: Mapping[str, Any], order: str = "") -> list[Listed]:
    query = text(
        f'SELECT id, name, CAST("connectionStatus" AS text) AS state FROM {tenant.table(ROOT)}'
        f" WHERE {NOT_RESERVED} AND {condition}{order}"
    )
    with tenant.transaction() as connection:
        rows = connection.execute(query, values).all()
        return [
            Listed(row.id, row.name, row.state, tenant_rows.estimate(tenant, connection, _MESSAGES, row.id))
            for row in rows
        ]
