"""API keys, and the key with which receivers verify webhooks."""

import re
from datetime import timedelta
from typing import Any

import click

from cli.runtime import connected, json_option, output
from shared.access.permissions import KEY_ROLES
from shared.translations.texts import _

_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
_LIFETIME = re.compile(r"([1-9]\d{0,4})([dhm])")


class Lifetime(click.ParamType[timedelta]):
    """How long an API key is valid: 90d, 12h, 30m."""

    name = "lifetime"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: D102
        match = _LIFETIME.fullmatch(value)
        if match is None:
            self.fail(
                _("{value!r} is no lifetime: give days, hours or minutes, as 90d, 12h or 30m", value=value), param, ctx
            )
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.group("keys")
def group() -> None:
    """API keys: their roles, instances and lifetimes."""


@group.command()
@click.option("--role", type=click.Choice([role.value for role in KEY_ROLES]), required=True, help="Its permissions.")
@click.option("--name", required=True, help="Who uses it.")
@click.option("--instance", "instances", multiple=True, metavar="NAME", help="Only this instance; repeat for more.")
@click.option(
    "--expires", "lifetime", type=Lifetime(), metavar="90d", help="How long it is valid; by default, for ever."
)
@json_option
def create(**given: Any) -> None:
    """Create a key and show it once; no two active keys can have the same name.

    Example: lethe keys create --role viewer --name support --expires 90d
    """
    from cli.actions import keys

    keys.create(**given)


@group.command("list")
@json_option
def list_keys(**given: Any) -> None:
    """List all keys, also revoked and expired ones; the secrets are not stored.

    Example: lethe keys list
    """
    from cli.actions import keys

    keys.show_all(**given)


@group.command()
@click.argument("key_id")
@json_option
def rotate(**given: Any) -> None:
    """Give a key a new secret and show it once; the old secret stops working at once.

    Example: lethe keys rotate 1f0c5e2a9b7d
    """
    from cli.actions import keys

    keys.rotate(**given)


@group.command()
@click.argument("key_id")
@json_option
def revoke(**given: Any) -> None:
    """Revoke a key; deletions that it requested and that are past the point of no return continue.

    Example: lethe keys revoke 1f0c5e2a9b7d
    """
    from cli.actions import keys

    keys.revoke(**given)


@group.command("enroll-totp")
@click.argument("key_id")
@json_option
def enroll(**given: Any) -> None:
    """Give a key one-time codes to confirm deletions, and show their secret once; earlier codes stop working.

    Example: lethe keys enroll-totp 1f0c5e2a9b7d
    """
    from cli.actions import keys

    keys.enroll(**given)


@click.command("webhook-key")
@json_option
def show_webhook_key(as_json: bool) -> None:
    """Print the key with which receivers verify the signatures of webhooks (Standard Webhooks).

    Example: lethe webhook-key
    """
    from shared.webhooks import delivery

    with connected() as made:
        key = delivery.signing_key(made.settings)
    output({"webhookKey": key}, key, as_json=as_json)
