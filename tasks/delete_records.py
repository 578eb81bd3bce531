"""Erases every row of the instance from the tenant database, leaves first, the Instance row last."""

from shared.evolution.rows import counting
from tasks.context import Context, Counts, Progress, Target, Untried


def rehearse(target: Target) -> Untried:
    """Check the schema and the rights."""
    tenant = target.services.tenant
    counting.check_rights(tenant, tenant.plan())
    return []


def preview(target: Target) -> Counts:
    """Rows per table; raises Refused when the schema or another instance's rows forbid it."""
    tenant = target.services.tenant
    plan = tenant.plan()
    counts = counting.count(tenant, plan, target.instance_id)
    counting.check_crossings(tenant, plan, target.instance_id, counts)
    return counts


def run(ctx: Context) -> Progress:
    """Erase in batches until nothing is left or the slice is over."""
    # Only the first slice goes by what was planned: that can be an estimate, and was counted some time ago.
    planned = None if ctx.totals else ctx.claim.planned
    return Progress.DONE if ctx.erase_rows(ctx.services.tenant.plan().tables, planned) else Progress.MORE
