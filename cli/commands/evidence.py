"""`lethe attest`: look for erased instances again; `lethe evidence`: save and verify all that proves a deletion."""

from pathlib import Path
from typing import IO, TYPE_CHECKING
from uuid import UUID

import click

from cli.runtime import NOT_POSSIBLE, connected, json_option, output, print_json, stop
from shared import formatting
from shared.translations import sentences
from shared.translations.marks import N_
from shared.translations.texts import _

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.x509 import Certificate

    from shared.evidence.verification import Proved


@click.command()
@click.argument("deletion_id", type=click.UUID, required=False)
@click.option("--all", "all_of_them", is_flag=True, help="Every erased instance.")
@json_option
def attest(deletion_id: UUID | None, all_of_them: bool, as_json: bool) -> None:
    """Look into every store for an erased instance now, and sign what is found. Erases nothing.

    Exit code 1 when something was found. --json prints the signed documents, one a line.

    Example: lethe attest 3f0c...
    """
    if (deletion_id is None) != all_of_them:
        raise click.UsageError(_("The id of a deletion is needed, or --all"))

    from cli import account
    from shared.receipts.receipt import ReceiptChanged
    from tasks.orders import attest as orders

    found_something = is_unproved = False
    with connected() as made:
        left = orders.find(made.own, deletion_id)
        if deletion_id is not None and not left:
            stop(_("There is no receipt: the deletion does not exist, or has not succeeded"))
        while left:
            try:
                for each in orders.attest(made, account.actor(), tuple(left)):
                    del left[0]
                    found_something |= not each.seen.is_gone
                    summary = sentences.translated(each.summary)
                    click.echo(each.document if as_json else f"{each.deletion_id}  {summary}")
            except (orders.NoReceipt, ReceiptChanged) as error:  # the others are attested all the same
                is_unproved = True
                click.echo(f"{left.pop(0).deletion_id}  {sentences.translated(error.title)}", err=True)
    if found_something and not as_json:
        click.echo(_("`lethe tombstones replay` erases instances that are back, `lethe sweep` other data"), err=True)
    if found_something or is_unproved:
        raise SystemExit(NOT_POSSIBLE)


class _WithDefault(click.Group):
    """A group in which the id of a deletion stands for `save ID`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["save", *args]
        return super().parse_args(ctx, args)


@click.group("evidence", cls=_WithDefault)
def group() -> None:
    """Save all that proves a deletion in one file, and verify such a file.

    Example: lethe evidence 3f0c... --out evidence.zip
    """


@group.command()
@click.argument("deletion_id", type=click.UUID)
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The zip file to write.")
@json_option
def save(deletion_id: UUID, out: Path, as_json: bool) -> None:
    """Write receipt, time stamps, newest attestation, lines of the audit, keys and a page into a zip file.

    Example: lethe evidence save 3f0c... --out evidence.zip
    """
    from cli import account
    from shared.audit import reads as audit_reads
    from shared.evidence import bundle
    from shared.evidence.audit_head import AuditIncomplete
    from shared.receipts.receipt import ReceiptChanged
    from shared.signing import InvalidDocument
    from tasks.orders import attest as orders

    with connected() as made:
        for erased in orders.find(made.own, deletion_id):
            audit_reads.record_evidence_read(made.own, account.actor(), erased.instance_id, deletion_id)
        try:
            content = bundle.compose(made.own, made.settings, deletion_id, with_callers=True)
        except (bundle.NoReceipt, bundle.AuditChanged, AuditIncomplete, ReceiptChanged, InvalidDocument) as error:
            stop(sentences.translated(error.title))
    try:
        out.write_bytes(content)
    except OSError as error:
        stop(_("{path} cannot be written: {why}", path=str(out), why=error.strerror or type(error).__name__))
    output({"file": str(out), "bytes": len(content)}, _("Written: {path}", path=str(out)), as_json=as_json)


@group.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="THUMBPRINT_OR_FILE",
    help="A key that you trust, or a file with keys (lethe-keys.json); repeat for more. Else those in the file.",
)
@click.option(
    "--stamp-roots",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The roots of the time-stamp authority (PEM). Else those in the file.",
)
@json_option
def verify(file: IO[bytes], keys: tuple[str, ...], stamp_roots: Path | None, as_json: bool) -> None:
    """Verify such a file: exit code 0 when no byte was changed. Needs no settings and no network.

    Example: lethe evidence verify evidence.zip --key kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k
    """
    from shared.errors import LetheError
    from shared.evidence import members, verification

    trusted = [each for key in keys for each in _thumbprints(key)]
    roots = _roots(stamp_roots) if stamp_roots else ()
    try:
        proved = verification.verify(file.read(members.LARGEST_FILE + 1), keys=trusted, roots=roots)
    except LetheError as error:
        if as_json:
            print_json({"valid": False, "reason": error.title})
        stop(_("Not valid: {title}", title=_printable(sentences.translated(error.title))))
    lines = map(_printable, _sentences(proved, has_key=bool(keys), has_roots=bool(stamp_roots)))
    output(_facts(proved), "\n".join(lines), as_json=as_json)


def _printable(line: str) -> str:
    """The line with control characters escaped: a file of unknown origin must not steer the terminal."""
    return line if line.isprintable() else repr(line)


def _thumbprints(key: str) -> list[str]:
    from shared import signing

    path = Path(key)
    try:
        if not path.is_file():
            return [key]
        return list(signing.read_key_set(path.read_bytes()))
    except (signing.InvalidKeySet, OSError):
        stop(_("{path} has no keys: a file as /.well-known/lethe-keys.json is needed, or a thumbprint", path=key))


def _roots(path: Path) -> "list[Certificate]":
    from shared.stamps import token

    try:
        return token.read_roots(path)
    except (OSError, ValueError):
        stop(_("{path} is no PEM file with certificates", path=str(path)))


def _facts(proved: "Proved") -> dict[str, object]:
    return {
        "valid": True,
        "deletionId": proved.deletion_id,
        "instanceId": proved.instance_id,
        "finishedAt": proved.finished_at,
        "madeAt": proved.made_at,
        "keyIds": proved.key_ids,
        "attestation": proved.attestation,
        "auditLines": proved.lines,
        "auditLinesOf": proved.lines_of,
        "stamps": {name: {"at": each.at, "by": each.authority} for name, each in proved.stamps.items()},
    }


def _sentences(proved: "Proved", *, has_key: bool, has_roots: bool) -> "Iterator[str]":
    yield _(
        "Valid: deletion {deletion} of instance {instance}, finished {time}",
        deletion=proved.deletion_id,
        instance=proved.instance_id,
        time=proved.finished_at,
    )
    if attested := proved.attestation:
        found = sentences.translated(N_("nothing found"))
        if number := attested["found"]:
            found = _("found in {places}", places=formatting.quantity(number, "place"))
        yield _("looked into again {time}: {found}", time=attested["at"], found=found)
        if attested["instanceExists"]:
            yield sentences.translated(N_("an instance or an unfinished deletion has the id again"))
    lines = formatting.quantity(proved.lines, "line")
    yield _("{lines} of the audit, all in its chain", lines=lines)
    for name, stamp in proved.stamps.items():
        yield _("{name} stamped {time} by {authority}", name=name, time=stamp.at.isoformat(), authority=stamp.authority)
    if proved.stamps and not has_roots:
        yield _("The authority's certificates are those in the file: compare them with --stamp-roots")
    yield _("signed with {keys}", keys=", ".join(proved.key_ids))
    if not has_key:
        yield _(
            "Compare this with what the operator publishes, or give that with --key: anybody can sign with an own key"
        )
