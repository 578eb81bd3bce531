"""`lethe receipt`: print receipts, and verify them with the public key alone."""

import json
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

import click

from cli.runtime import NOT_REACHABLE, connected, json_option, output, print_json, stop
from shared.translations import sentences
from shared.translations.texts import _

if TYPE_CHECKING:
    from shared.stamps.token import Verified

_TIMEOUT_SECONDS = 10


@click.group("receipt")
def group() -> None:
    """Print receipts, and verify them."""


@group.command()
@click.argument("deletion_id", type=click.UUID)
@click.option("--html", "as_page", is_flag=True, help="As an HTML page to print.")
def show(deletion_id: UUID, as_page: bool) -> None:
    """Print the receipt of a deletion, as it was signed.

    Example: lethe receipt show 3f0c... > receipt.json
    """
    from cli import account
    from shared.audit import reads as audit_reads
    from shared.receipts import page as receipt_page
    from shared.receipts import receipt

    with connected() as made:
        try:
            document = receipt.load(made.own, deletion_id)
        except receipt.ReceiptChanged as error:
            stop(sentences.translated(error.title))
        if document is None:
            stop(_("There is no receipt: the deletion does not exist, or has not succeeded"))
        instance_id = receipt.proved(json.loads(document))["instanceId"]
        audit_reads.record_receipt_read(made.own, account.actor(), instance_id, deletion_id)
    # No newline in a file: its SHA-256 and its time stamp are those of the signed document.
    click.echo(receipt_page.render(document) if as_page else document, nl=sys.stdout.isatty())


@group.command()
@click.argument("deletion_id", type=click.UUID)
@click.option("--out", required=True, type=click.File("wb"), help="The file to write, as `openssl ts` reads it.")
def stamp(deletion_id: UUID, out: IO[bytes]) -> None:
    """Write the time stamp of a receipt.

    Example: lethe receipt stamp 3f0c... --out receipt.tsr
    """
    from shared.stamps import outbox

    with connected() as made:
        found = outbox.find(made.own, outbox.Subject.RECEIPT, deletion_id)
    if found is None:
        stop(_("No time stamp was asked for: LETHE_TIMESTAMP_URL was not set"))
    if found.token is None:
        stop(
            _(
                "The time stamp is not there yet: {why}",
                why=sentences.translated(found.error or "") or _("it was not asked for so far"),
            )
        )
    out.write(found.token)


@group.command()
@click.argument("file", type=click.File("rb"))
@click.option("--keys", required=True, metavar="FILE_OR_URL", help="The public keys, as /.well-known/lethe-keys.json.")
@click.option("--stamp", type=click.File("rb"), help="Its time stamp, as `lethe receipt stamp` writes it.")
@click.option(
    "--stamp-roots",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The roots of the time-stamp authority (PEM); else the public ones.",
)
@json_option
def verify(file: IO[bytes], keys: str, stamp: IO[bytes] | None, stamp_roots: Path | None, as_json: bool) -> None:
    """Verify a receipt: exit code 0 when no byte was changed. Needs no settings.

    Example: lethe receipt verify receipt.json --keys https://lethe.example/.well-known/lethe-keys.json
    """
    from shared import signing
    from shared.receipts import receipt
    from shared.stamps import token

    document = file.read()
    try:
        proved = receipt.proved(signing.check(document, signing.read_key_set(_read_keys(keys))))
        stamped = _check_stamp(stamp.read(), document, stamp_roots) if stamp else None
    except (signing.InvalidDocument, signing.InvalidKeySet, token.InvalidStamp) as error:
        if as_json:
            print_json({"valid": False, "reason": error.title})
        stop(_("Not valid: {title}", title=sentences.translated(error.title)))
    text = _(
        "Valid: deletion {deletion} of instance {instance}\nfinished {time}, signed with key {key}",
        deletion=proved["deletionId"],
        instance=proved["instanceId"],
        time=proved["finishedAt"],
        key=proved["keyId"],
    )
    facts: dict[str, object] = {"valid": True, **proved}
    if stamped:
        facts |= {"stampedAt": stamped.at, "stampedBy": stamped.authority}
        text += _("\nstamped {time} by {authority}", time=stamped.at.isoformat(), authority=stamped.authority)
    output(facts, text, as_json=as_json)


def _check_stamp(answer: bytes, document: bytes, roots: Path | None) -> "Verified":
    from shared.stamps import token

    try:
        trusted = token.read_roots(roots)
    except (OSError, ValueError):
        stop(_("{path} is no PEM file with certificates", path=roots))
    return token.verify(answer, document.removesuffix(b"\n"), trusted)


def _read_keys(place: str) -> bytes:
    """The key set from a file or over HTTP."""
    import requests

    try:
        if urlsplit(place).scheme in ("http", "https"):
            response = requests.get(place, timeout=_TIMEOUT_SECONDS)
            response.raise_for_status()
            return response.content
        with click.open_file(place, "rb") as file:
            return bytes(file.read())
    except (requests.RequestException, OSError) as error:
        stop(_("The keys cannot be read from {place}: {name}", place=place, name=type(error).__name__), NOT_REACHABLE)
