"""Removes the instance's media, by id: its folder, what this deletion put into the trash, its objects."""

from tasks.context import Context, Counts, Progress, Target, Untried


def rehearse(target: Target) -> Untried:
    """See that each place for media is there, and that what is kept in it by id and by name may be removed."""
    for storage in target.services.storages:
        storage.probe()
        storage.rehearse(target.instance_id, target.instance_name, target.neighbours)
    return []


def preview(target: Target) -> Counts:
    """Files and objects that would be removed."""
    counts = {}
    for storage in target.services.storages:
        counts[storage.unit] = storage.count(target.instance_id)
    return counts


def run(ctx: Context) -> Progress:
    """Remove until nothing is left or the slice is over."""
    for storage in ctx.storages():
        for count in storage.erase(ctx.instance_id, ctx.deletion_id):
            ctx.add_removed({storage.unit: count})
            if ctx.slice_is_over():
                return Progress.MORE
    return Progress.DONE
