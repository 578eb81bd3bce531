"""The statements that change an instance's rows: built here alone, for the steps and for their rehearsal."""

from shared.evolution.rows.counting import guarded
from shared.evolution.rows.schema import Owned
from shared.evolution.rows.tenant import Tenant


def delete_some(tenant: Tenant, owned: Owned, more: str = "") -> str:
    """Delete up to :size rows of the instance :id; `more` narrows the search for them."""
    table, predicate = tenant.table(owned.table), guarded(owned)
    return (
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY("
        f"SELECT ctid FROM {table} WHERE {predicate}{more} LIMIT :size)) AND {predicate}"
    )
