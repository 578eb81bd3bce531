"""Receipts: show them, check them."""

from typing import Any

import click

from cli.runtime import json_option


@click.group("receipt")
def group() -> None:
    """Show receipts, and check them."""


@group.command()
@click.argument("deletion_id", type=click.UUID)
@click.option("--html", "as_page", is_flag=True, help="As a page to print.")
def show(**given: Any) -> None:
    """Print the receipt of a deletion, as it was signed.

    Example: lethe receipt show 3f0c... > receipt.json
    """
    from cli.actions import receipt

    receipt.show(**given)


@group.command()
@click.argument("file", type=click.File("rb"))
@click.option("--keys", required=True, metavar="FILE_OR_URL", help="The public keys, as /.well-known/lethe-keys.json.")
@json_option
def verify(**given: Any) -> None:
    """Check a receipt: exit code 0 when not a byte was changed. Needs no settings.

    Example: lethe receipt verify receipt.json --keys https://lethe.example/.well-known/lethe-keys.json
    """
    from cli.actions import receipt

    receipt.verify(**given)
