"""Evolution's servers by their clientName: each bears one, and so does the row of every instance that it has made."""

from collections.abc import Collection

from shared.evolution.rows.schema import ROOT
from shared.evolution.rows.tenant import NOT_RESERVED, Tenant

_NOT_FENCED = "NOT starts_with(coalesce(\"clientName\", ''), 'lethe:')"


def name_of(tenant: Tenant, instance_id: str) -> str | None:
    """The clientName of the instance's server; None when its row has none, is fenced or is gone."""
    query = f'SELECT "clientName" FROM {tenant.table(ROOT)} WHERE id = :id AND {_NOT_FENCED}'
    return next((name or None for (name,) in tenant.ask(query, {"id": instance_id})), None)


def count_instances(tenant: Tenant) -> dict[str, int]:
    """How many instances each server has; those of an unknown one under an empty name."""
    query = (
        f"SELECT coalesce(\"clientName\", ''), count(*) FROM {tenant.table(ROOT)}"
        f" WHERE {NOT_RESERVED} AND {_NOT_FENCED} GROUP BY 1 ORDER BY 1"
    )
    return dict(tenant.ask(query, {}))


def states(tenant: Tenant) -> dict[str, str]:
    """How each instance is connected, by its id, as its server last wrote it down."""
    columns = 'id, CAST("connectionStatus" AS text)'
    return dict(tenant.ask(f"SELECT {columns} FROM {tenant.table(ROOT)} WHERE {NOT_RESERVED} AND {_NOT_FENCED}", {}))


def unknown(tenant: Tenant, gateways: Collection[str], named: Collection[str]) -> list[str]:
    """What is to be given up and is neither a gateway of the settings nor the clientName of an instance's server."""
    strange = set(named) - set(gateways)
    return sorted(strange - count_instances(tenant).keys()) if strange else []
