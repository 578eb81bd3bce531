"""Keys that receivers and auditors check signatures with."""

import click

from cli.common import reached
from shared import webhooks


@click.command("webhook-key")
def show_webhook_key() -> None:
    """Print the key that receivers check the webhooks' signatures with (Standard Webhooks).

    Example: lethe webhook-key
    """
    with reached() as made:
        click.echo(webhooks.signing_key(made.settings))
