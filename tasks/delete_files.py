"""Removes the instance's media by id: its folder, its objects, and what this deletion moved to the trash."""

from tasks.context import Context, Counts, Progress, Target


def rehearse(target: Target) -> None:
    """Check that each storage is there, and that Lethe may remove what it stores by id and by name."""
    for storage in target.services.storages:
        storage.probe()
        storage.rehearse(target.instance_id, target.instance_name, target.other_names)


def preview(target: Target) -> Counts:
    """Count the files and objects."""
    counts = {}
    for storage in target.services.storages:
        counts[storage.kind] = storage.count(target.instance_id)
    return counts


def run(ctx: Context) -> Progress:
    """Remove until nothing is left or the slice is over."""
    return Progress.DONE if ctx.erase_media() else Progress.MORE
