"""Keys that receivers and auditors check signatures with."""

import click

from cli.runtime import print_json, reached
from shared.webhooks import delivery


def show_webhook_key(as_json: bool) -> None:
    """Print it."""
    with reached() as made:
        key = delivery.signing_key(made.settings)
    if as_json:
        print_json({"webhookKey": key})
    else:
        click.echo(key)
