"""Orders to export an instance: an archive by itself, which changes nothing in the deployment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from shared.archives import destination, journal
from shared.archives.archive import Archive, ArchiveLost, Source
from shared.archives.journal import Facts, Journal
from shared.audit import chain
from shared.audit.entries import Action, Actor, Decision, Entry
from shared.database.connections import own_transaction
from shared.database.encryption import cipher
from shared.errors import LetheError, Refused
from shared.evolution.rows import counting
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from tasks.context import probe_all


@dataclass(frozen=True)
class Wanted:
    """What is exported, and how."""

    instance: Instance
    place: str  # a folder, or s3://bucket/prefix
    with_secrets: bool = False
    recipient: str | None = None  # an age public key


def count(services: Services, instance: Instance) -> int:
    """About how many rows, files and objects the instance has."""
    tenant = services.tenant
    rows = sum(counting.count(tenant, tenant.plan(), instance.id).values())
    return rows + sum(storage.count(instance.id) for storage in services.storages)


def run(
    services: Services, actor: Actor, wanted: Wanted, report: Callable[[str, int], None]
) -> tuple[str, dict[str, Any]]:
    """Write an archive, or go on with one that was interrupted; its manifest's SHA-256 and content."""
    archive = _archive(services, wanted, report)
    instance_id = wanted.instance.id
    _audit(services, Entry(Action.EXPORT, Decision.ACCEPTED, actor, instance_id))
    try:
        archive.destination.probe()
        archive.check()
        archive.write_first()
        archive.write_later()
        probe_all(services.storages)  # one that went away meanwhile looked empty
        closed = archive.close()
    except LetheError as error:
        if isinstance(error, ArchiveLost):  # so that the next one begins anew
            with own_transaction(services.own) as connection:
                archive.journal.forget(connection)
        _audit(services, Entry(Action.EXPORT, Decision.FAILED, actor, instance_id, reason=type(error).__name__))
        raise
    with own_transaction(services.own) as connection:
        archive.journal.forget(connection)
        chain.append(
            connection, Entry(Action.EXPORT, Decision.SUCCEEDED, actor, instance_id, reason=f"manifest {closed[0]}")
        )
    return closed


def _archive(services: Services, wanted: Wanted, report: Callable[[str, int], None]) -> Archive:
    target, instance = destination.of(wanted.place, services.settings), wanted.instance
    begun = journal.unfinished(services.own, instance.id, target.place)
    if begun and begun[1:] != (wanted.with_secrets, wanted.recipient):
        raise Refused(
            "an export of this instance to this place was interrupted: go on with the same --with-secrets and "
            "--recipient, or take another place"
        )
    facts = Facts(
        begun[0] if begun else uuid5(NAMESPACE_URL, f"{target.place} {instance.id}"),  # one, of two that begin at once
        instance.id,
        instance.name,
        target.place,
        wanted.with_secrets,
        wanted.recipient,
    )
    storages = probe_all(services.storages)
    source = Source(services.tenant, storages, lambda: services.tenant.other_names(besides=instance.id))
    return Archive(source, target, Journal(services.own, cipher(services.settings), facts), report)


def _audit(services: Services, entry: Entry) -> None:
    with own_transaction(services.own) as connection:
        chain.append(connection, entry)
