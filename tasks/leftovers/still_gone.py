"""Looks into every store for erased instances, as they are now; erases nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.evolution.cache.cache import Candidates
from shared.evolution.gateway import can_be_addressed
from shared.evolution.media.local_folder import LocalFolder
from shared.evolution.rows import counting
from shared.evolution.rows.reservation import Reservation
from shared.services import Services
from tasks.context import Target, probe_all
from tasks.leftovers import by_name, coverage, in_use
from tasks.leftovers.in_use import InUse

_OF_THE_NAME = " of the name"  # how by_name ends what it finds
_NAME_NOT_LOOKED_FOR = "what is kept by the name: an instance or an unfinished deletion has the name now"


@dataclass(frozen=True)
class Erased:
    """An erased instance."""

    deletion_id: UUID
    instance_id: str
    instance_name: str
    without_gateways: tuple[str, ...] = ()  # that were given up


@dataclass(frozen=True)
class Finding:
    """What one store still holds; without the instance's name."""

    store: str
    where: str


@dataclass(frozen=True)
class Seen:
    """What the stores hold of one erased instance."""

    stores: tuple[str, ...]  # that were looked into
    findings: tuple[Finding, ...]
    exists: bool  # an instance, or an unfinished deletion, has the id now
    by_name_too: bool  # nobody has the name now
    not_covered: tuple[str, ...]
    reach: dict[str, str]  # of a store that does not list everything

    @property
    def is_gone(self) -> bool:
        """Whether nothing was found."""
        return not self.exists and not self.findings


def look(services: Services, erased: Sequence[Erased]) -> Iterator[tuple[Erased, Seen]]:
    """Look for each of them. One scan of the cache serves all. Raises Unreachable for a store without an answer."""
    probe_all(services.storages)
    probe_all(services.queues)
    used = in_use.read(services)
    free = [each.instance_name for each in erased if each.instance_name not in used.names]
    candidates = services.cache.find_candidates([each.instance_id for each in erased], free) if services.cache else None
    for each in erased:
        yield each, _look_for(services, each, used, candidates)


def _look_for(services: Services, erased: Erased, used: InUse, candidates: Candidates | None) -> Seen:
    target = Target(services, erased.instance_id, erased.instance_name, erased.without_gateways)
    found = list(_by_id(target, erased.deletion_id))
    is_free = erased.instance_name not in used.names
    words, held = list[str](), dict[int, bool | None]()
    if services.cache and candidates:
        words += by_name.find_keys(target, services.cache, candidates, by_name_too=is_free)
    if is_free:
        words += by_name.find_kept(target)
        held = _ask_gateways(target)
        found += [Finding("gateways", f"the name in the memory of gateway {each}") for each, has in held.items() if has]
    # Once more: what an instance that was created meanwhile has by the name is no finding.
    is_free = is_free and services.tenant.find(name=target.instance_name) is None
    found += [Finding(_store(each), each) for each in words]
    not_covered = [*coverage.standing(services), *(() if is_free else (_NAME_NOT_LOOKED_FOR,))]
    if is_free:
        not_covered += _not_asked(target, held)
    for storage in services.storages:
        not_covered += storage.uncovered(target.instance_id, target.instance_name, target.other_names)
    return Seen(
        tuple(_stores(services, held, by_name_too=is_free)),
        tuple(each for each in found if is_free or not _is_by_name(each)),
        target.instance_id in used.ids or services.tenant.find(instance_id=target.instance_id) is not None,
        is_free,
        tuple(dict.fromkeys(not_covered)),
        {storage.kind: storage.reach for storage in services.storages if storage.reach},
    )


def _by_id(target: Target, deletion_id: UUID) -> Iterator[Finding]:
    tenant = target.services.tenant
    if Reservation(tenant, target.instance_name, deletion_id).is_there():  # which makes the name one that is in use
        yield Finding("rows", "the reserved name")
    for table in counting.remaining(tenant, tenant.plan(), target.instance_id):
        yield Finding("rows", f'rows in "{table}"')
    for storage in target.services.storages:
        if storage.count(target.instance_id):
            yield Finding(storage.kind, f"{storage.kind} of the id")
        elif isinstance(storage, LocalFolder) and target.instance_id in storage.ids():
            yield Finding(storage.kind, "an empty folder of the id")
        if isinstance(storage, LocalFolder) and str(deletion_id) in storage.trash_ids():
            yield Finding(storage.kind, "files in the trash of the deletion")


def _ask_gateways(target: Target) -> dict[int, bool | None]:
    """By a gateway's number, whether it has the name in its memory; None for one that is down."""
    if not can_be_addressed(target.instance_name):
        return {}
    numbered = enumerate(target.services.gateways, 1)
    return {number: by_name.holds(each, target.instance_name) for number, each in numbered if each in target.gateways}


def _not_asked(target: Target, held: Mapping[int, bool | None]) -> Iterator[str]:
    if not can_be_addressed(target.instance_name):
        yield "the memory of the gateways: a URL cannot have the name"
        return
    for number, has in held.items():
        if has is None:
            yield f"the memory of gateway {number}: nothing listens at its address"
    if given_up := len(target.services.gateways) - len(held):
        yield f"the memory of gateways that the deletion gave up: {given_up}"


def _is_by_name(finding: Finding) -> bool:
    return finding.where.endswith(_OF_THE_NAME) or finding.store == "gateways"


def _store(words: str) -> str:
    what = words.removesuffix(_OF_THE_NAME)
    return "keys" if what == "cache keys" else what if what in ("files", "objects") else "queues"


def _stores(services: Services, held: Mapping[int, bool | None], *, by_name_too: bool) -> Iterator[str]:
    """Those that were looked into: queues and gateways know names only."""
    yield "rows"
    yield from (storage.kind for storage in services.storages)
    if services.cache:
        yield "keys"
    if services.queues and by_name_too:
        yield "queues"
    if by_name_too and any(has is not None for has in held.values()):
        yield "gateways"
