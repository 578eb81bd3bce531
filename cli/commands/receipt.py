"""`lethe receipt`: print receipts, and verify them with the public key alone."""

import json
from typing import IO
from urllib.parse import urlsplit
from uuid import UUID

import click

from cli.runtime import NOT_REACHABLE, connected, json_option, output, print_json, stop

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
            stop(error.title)
        if document is None:
            stop("There is no receipt: the deletion does not exist, or has not succeeded")
        instance_id = receipt.proved(json.loads(document))["instanceId"]
        audit_reads.record_receipt_read(made.own, account.actor(), instance_id, deletion_id)
    click.echo(receipt_page.render(document) if as_page else document)


@group.command()
@click.argument("file", type=click.File("rb"))
@click.option("--keys", required=True, metavar="FILE_OR_URL", help="The public keys, as /.well-known/lethe-keys.json.")
@json_option
def verify(file: IO[bytes], keys: str, as_json: bool) -> None:
    """Verify a receipt: exit code 0 when no byte was changed. Needs no settings.

    Example: lethe receipt verify receipt.json --keys https://lethe.example/.well-known/lethe-keys.json
    """
    from shared import signing
    from shared.receipts import receipt

    try:
        proved = receipt.proved(signing.check(file.read(), signing.read_key_set(_read_keys(keys))))
    except (signing.InvalidDocument, signing.InvalidKeySet) as error:
        if as_json:
            print_json({"valid": False, "reason": error.title})
        stop(f"Not valid: {error.title}")
    text = (
        f"Valid: deletion {proved['deletionId']} of instance {proved['instanceId']}\n"
        f"finished {proved['finishedAt']}, signed with key {proved['keyId']}"
    )
    output({"valid": True, **proved}, text, as_json=as_json)


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
        stop(f"The keys cannot be read from {place}: {type(error).__name__}", NOT_REACHABLE)
