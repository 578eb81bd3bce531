"""Keys that receivers and auditors check signatures with."""

import click

from cli.common import json_option, print_json, reached
from shared import webhooks


@click.command("webhook-key")
@json_option
def show_webhook_key(as_json: bool) -> None:
    """Print the key that receivers check the webhooks' signatures with (Standard Webhooks).

    Example: lethe webhook-key
    """
    with reached() as made:
        key = webhooks.signing_key(made.settings)
    if as_json:
        print_json({"webhookKey": key})
    else:
        click.echo(key)
