"""Receipts from the server, and their check, which needs the public key alone."""

import json
from typing import IO
from urllib.parse import urlsplit
from uuid import UUID

import click
import requests

from cli import account
from cli.runtime import NOT_REACHABLE, reached, stop
from shared import signing
from shared.audit import reads as audit_reads
from shared.receipts import page as receipt_page
from shared.receipts import receipt

_TIMEOUT_SECONDS = 10


def show(deletion_id: UUID, as_page: bool) -> None:
    """Print it, and have it in the audit that it was read."""
    with reached() as made:
        document = receipt.load(made.own, deletion_id)
        if document is None:
            stop("There is no receipt: the deletion is unknown, or has not succeeded")
        instance_id = receipt.proved(json.loads(document))["instanceId"]
        audit_reads.record_receipt_read(made.own, account.actor(), instance_id, deletion_id)
    click.echo(receipt_page.render(document) if as_page else document)


def verify(file: IO[bytes], keys: str, as_json: bool) -> None:
    """Check it, and say what it proves."""
    try:
        document = signing.check(file.read(), signing.read_key_set(_read_keys(keys)))
        proved = receipt.proved(document)
    except (signing.InvalidDocument, signing.InvalidKeySet) as error:
        if as_json:
            click.echo(json.dumps({"valid": False, "reason": error.title}))
        stop(f"Not valid: {error.title}")
    if as_json:
        click.echo(json.dumps({"valid": True, **proved}))
        return
    click.echo(f"Valid: deletion {proved['deletionId']} of instance {proved['instanceId']}")
    click.echo(f"finished {proved['finishedAt']}, signed with key {proved['keyId']}")


def _read_keys(place: str) -> bytes:
    """The key set from a file or over HTTP."""
    try:
        if urlsplit(place).scheme in ("http", "https"):
            answer = requests.get(place, timeout=_TIMEOUT_SECONDS)
            answer.raise_for_status()
            return answer.content
        with click.open_file(place, "rb") as file:
            return bytes(file.read())
    except (requests.RequestException, OSError) as error:
        stop(f"The keys cannot be read from {place}: {type(error).__name__}", NOT_REACHABLE)
