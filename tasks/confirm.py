"""Sweeps once more by id, then looks into every store: only what is seen to be gone is gone."""

from datetime import UTC, datetime

from shared import tenant_rows
from shared.errors import TransientError
from shared.tenant_schema import Plan
from tasks.context import Context, Counts, Progress, Target


class StillThere(TransientError):
    """Something of the instance is still there, or was written again."""


def preview(target: Target) -> Counts:  # noqa: ARG001 - every step has this signature
    """Nothing is left for this step to remove, unless a connected server writes it again."""
    return {}


def run(ctx: Context) -> Progress:
    """Remove what a connected server wrote meanwhile, then verify; raises StillThere."""
    plan = ctx.services.tenant.plan()
    if not _sweep(ctx, plan):
        return Progress.MORE
    left = _look(ctx, plan)
    if left:
        raise StillThere(f"still there: {', '.join(left)}")
    ctx.note(verified_empty=_stores(ctx), verified_at=datetime.now(UTC).isoformat())
    return Progress.DONE


def _sweep(ctx: Context, plan: Plan) -> bool:
    """False when the slice was over first."""
    services = ctx.services
    if services.cache:
        keys, _ = services.cache.by_id(ctx.instance_id, ctx.living)
        for count in services.cache.unlink(keys):
            ctx.removed({"keys": count})
    for storage in ctx.storages():
        for count in storage.erase(ctx.instance_id, ctx.deletion_id):
            ctx.removed({storage.unit: count})
            if ctx.slice_is_over():
                return False
    left = tenant_rows.remaining(services.tenant, plan, ctx.instance_id)
    return ctx.erase_rows([table for table in plan.tables if table.table in left])


def _look(ctx: Context, plan: Plan) -> list[str]:
    services = ctx.services
    left = [f'rows in "{table}"' for table in tenant_rows.remaining(services.tenant, plan, ctx.instance_id)]
    if services.cache and services.cache.by_id(ctx.instance_id, ctx.living)[0]:
        left.append("cache keys")
    left += [storage.unit for storage in services.storages if storage.count(ctx.instance_id)]
    return left


def _stores(ctx: Context) -> list[str]:
    stores = ["rows", *(storage.unit for storage in ctx.services.storages)]
    return [*stores, "keys"] if ctx.services.cache else stores
