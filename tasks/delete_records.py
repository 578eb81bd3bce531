"""Erases every row of the instance from the tenant database, leaves first, the Instance row last."""

from shared.evolution.rows import counting
from tasks.context import Context, Counts, Progress, Target


def rehearse(target: Target) -> None:
    """Try one row of each table, the reservation of a name and the fence, in a transaction that is rolled back."""
    target.services.row_rehearsal.rehearse(target.services.tenant, target.instance_id)


def preview(target: Target) -> Counts:
    """Count rows per table; raises Refused when the schema or another instance's rows prevent the deletion."""
    tenant = target.services.tenant
    plan = tenant.last_plan()  # the rehearsal's
    counts = counting.count(tenant, plan, target.instance_id)
    counting.check_crossings(tenant, plan, target.instance_id, counts)
    return counts


def run(ctx: Context) -> Progress:
    """Erase in batches until nothing is left or the slice is over."""
    # Only the first slice uses the planned counts: they can be estimates, and are old by the second one.
    planned = None if ctx.totals else ctx.claim.planned
    return Progress.DONE if ctx.erase_rows(ctx.services.tenant.plan().tables, planned) else Progress.MORE
