"""What is kept by an instance's name: removed while the name is reserved, and looked for once more at the end."""

from shared.errors import Unreachable
from shared.evolution.cache.cache import Cache, Candidates
from shared.evolution.gateway import Gateway, can_be_addressed
from tasks.context import Context, Target, probe_all

_STATE_SECONDS = 2


def remove_media(ctx: Context) -> None:
    """Remove media that are this name's alone."""
    kept: list[str] = []
    for storage in probe_all(ctx.services.storages):
        ctx.ensure_claim_held()
        removed, shared = storage.remove_named(ctx.instance_name, ctx.deletion_id, ctx.other_names)
        kept += shared
        ctx.add_removed({storage.kind: removed})
    if kept:
        ctx.note(kept_media=len(kept))  # they belong to another instance's name as well


def remove_queues(ctx: Context) -> None:
    """Remove queues and exchanges that are this name's alone."""
    kept = 0
    for queues in probe_all(ctx.services.queues):
        ctx.ensure_claim_held()
        taken = queues.remove_named(ctx.instance_name, ctx.other_names)
        kept += taken.kept
        ctx.add_removed(taken.counts)
    if kept:
        ctx.note(kept_queues=kept)  # they belong to other instances as well


def unlink_keys(target: Target, cache: Cache, candidates: Candidates) -> int:
    """Unlink the name's keys among the candidates; returns how many."""
    mine, _ = cache.by_name(target.instance_name, target.had_by_others, candidates)
    return sum(cache.unlink(mine)) + cache.remove_lost_messages(target.instance_name)


def count_keys(target: Target, cache: Cache, candidates: Candidates) -> int:
    """The name's keys among the candidates, and its fields."""
    mine, _ = cache.by_name(target.instance_name, target.had_by_others, candidates)
    return len(mine) + cache.count_lost_messages(target.instance_name)


def find_keys(target: Target, cache: Cache, candidates: Candidates, *, by_name_too: bool) -> list[str]:
    """The kinds of keys that the instance still has among the candidates, in words."""
    left = ["cache keys"] if cache.by_id(target.instance_id, target.had_by_others, candidates)[0] else []
    if by_name_too and count_keys(target, cache, candidates):
        left.append("cache keys of the name")
    return left


def find_kept(target: Target) -> list[str]:
    """Which media and queues are kept by the name, in words."""
    services, name = target.services, target.instance_name
    media = {each.kind: each.count_named(name, target.other_names) for each in services.storages}
    queues = [each.count_named(name, target.other_names) for each in services.queues]
    found = {**media, **{what: number for counts in queues for what, number in counts.items()}}
    return [f"{what} of the name" for what, number in found.items() if number]


def find_holders(target: Target, urls: set[str]) -> list[str]:
    """Which of these gateways hold the name in their memory, in words; raises Unreachable for one without an answer."""
    if not can_be_addressed(target.instance_name):
        return []
    asked = [gateway for gateway in target.gateways if gateway.url in urls]
    return [f"the name in the memory of gateway {each.url}" for each in asked if holds(each, target.instance_name)]


def holds(gateway: Gateway, name: str) -> bool | None:
    """Whether the gateway has the name in its memory; None when it is down, and its memory with it."""
    try:
        return gateway.state(name, timeout_seconds=_STATE_SECONDS) is not None
    except Unreachable:
        if gateway.is_down():
            return None
        raise
