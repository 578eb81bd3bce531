"""The archive of a deletion: written before the point of no return, closed before the first row goes."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select

from shared.archives import destination, manifest
from shared.archives.archive import Archive, ArchiveLost, Source
from shared.archives.destination import Destination
from shared.archives.journal import Facts, Journal
from shared.audit import chain
from shared.audit.entries import Action, Decision, Entry
from shared.database.connections import own_statement, own_transaction
from shared.database.encryption import cipher
from shared.database.models import Deletion
from shared.deletions import claims, lifecycle
from shared.errors import Refused
from shared.services import Services
from tasks.context import Context, Target, probe_all

NOTE = "archive"  # of deregister; the receipt quotes it


class NoDestination(Refused):
    """LETHE_EXPORT_TO is not set: there is no place for exports of deletions."""


def place_of(services: Services) -> Destination:
    """Where archives of deletions go; raises NoDestination, or Refused where an instance's data is."""
    place = services.settings.export_to
    if place is None:
        raise NoDestination
    return destination.of(place, services.settings)


def check(services: Services, *, wanted: bool) -> None:
    """Raise NoDestination where an order that asks for an export has no place for it."""
    if wanted:
        place_of(services)


def is_needed(services: Services, *, wanted: bool) -> bool:
    """Whether a new deletion writes one. It is stored with it: a worker with other settings does it as well."""
    return wanted or services.settings.export == "required"


def require(connection: Connection, deletion_id: UUID) -> None:
    """Let an earlier deletion write an export as well; raises Refused when it is too late."""
    if not lifecycle.require_export(connection, deletion_id):
        raise Refused("An earlier deletion of it is past the point of no return: there is nothing whole to export")


def rehearse(target: Target) -> None:
    """Write to the destination and ask for its free space, if the deletion needs an export."""
    if target.needs_export:
        files = sum(each.measure(target.instance_id).size_bytes for each in target.services.storages if not each.reach)
        place_of(target.services).probe(files)


def write_first(ctx: Context) -> bool:
    """Write what the instance has, and look whether it is there; False when the slice was over first."""
    if not ctx.needs_export:
        return True
    deletion = _standing(ctx)
    if deletion.irrevocable_at is not None:  # it is written, or was not required before
        return True
    archive = _archive(ctx)
    if deletion.archive_written_at is None and not archive.write_first():
        return False
    probe_all(ctx.services.storages)  # one that went away meanwhile looked empty
    try:
        archive.check()
    except ArchiveLost:  # nothing is erased yet: a resume writes it anew
        with own_transaction(ctx.services.own) as connection:
            claims.write(connection, ctx.claim, archive_written_at=None)
            archive.journal.forget(connection)
        raise
    with own_transaction(ctx.services.own) as connection:
        claims.write(connection, ctx.claim, exports=True, archive_written_at=func.now())
    return True


def write_later(ctx: Context) -> bool:
    """Add what was written since, and close the archive; False when the slice was over first."""
    if not ctx.needs_export:
        return True
    deletion = _standing(ctx)
    if not deletion.exports or deletion.archive_sha256 is not None:
        return True
    archive = _archive(ctx)
    archive.check()  # first, so that nothing is added to it elsewhere: LETHE_EXPORT_TO can be another one by now
    if not archive.write_later():
        return False
    probe_all(ctx.services.storages)
    digest, content = archive.close()
    ctx.note_and_save(**{NOTE: _quoted(digest, content)})
    closed = Entry(
        Action.EXPORT,
        Decision.SUCCEEDED,
        instance_id=ctx.instance_id,
        deletion_id=ctx.deletion_id,
        reason=f"manifest {digest}",
    )
    with own_transaction(ctx.services.own) as connection:
        claims.write(connection, ctx.claim, archive_sha256=digest)
        archive.journal.forget(connection)
        chain.append(connection, closed)
    return True


def _standing(ctx: Context) -> Row[*tuple[Any, ...]]:
    columns = (Deletion.exports, Deletion.irrevocable_at, Deletion.archive_written_at, Deletion.archive_sha256)
    with own_statement(ctx.services.own) as connection:
        return connection.execute(select(*columns).where(Deletion.id == ctx.deletion_id)).one()


def _archive(ctx: Context) -> Archive:
    services, target = ctx.services, place_of(ctx.services)
    facts = Facts(
        ctx.deletion_id,
        ctx.instance_id,
        ctx.instance_name,
        target.place,
        with_secrets=False,
        recipient=services.settings.export_recipient,
        of_deletion=True,
    )
    ctx.ensure_claim_held()
    source = Source(services.tenant, probe_all(services.storages), ctx.other_names)
    journal = Journal(services.own, cipher(services.settings), facts)
    return Archive(source, target, journal, lambda stream, items: ctx.add_progress(), ctx.slice_is_over)  # noqa: ARG005


def _quoted(digest: str, content: dict[str, Any]) -> dict[str, Any]:
    """What the receipt says of the archive: nothing of what is in it."""
    left_out = {each["store"]: each["leftOut"] for each in content["media"] if each["leftOut"]}
    return {
        "manifest": digest,
        "closedAt": content["closedAt"],
        "withSecrets": content["withSecrets"],
        "encrypted": content["encryptedFor"] is not None,
        "parts": len(content["parts"]),
        "bytes": sum(part["bytes"] for part in content["parts"]),
        "listed": manifest.totals(content),
        "leftOut": left_out,
    }
