"""API keys, and the keys that receivers check signatures with."""

import re
from datetime import timedelta
from typing import Any

import click

from cli.runtime import json_option
from shared.access.permissions import KEY_ROLES

_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
_LIFETIME = re.compile(r"([1-9]\d{0,4})([dhm])")


class Lifetime(click.ParamType[timedelta]):
    """How long a key is good for: 90d, 12h, 30m."""

    name = "lifetime"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: D102
        match = _LIFETIME.fullmatch(value)
        if match is None:
            self.fail(f"{value!r} is no lifetime: give days, hours or minutes, as 90d, 12h or 30m", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.group("keys")
def group() -> None:
    """Keys of the API: who may do what, with which instances, until when."""


@group.command()
@click.option("--role", type=click.Choice([role.value for role in KEY_ROLES]), required=True, help="What it may do.")
@click.option("--name", required=True, help="Whose it is, for people.")
@click.option("--instance", "instances", multiple=True, metavar="NAME", help="Only this instance; repeat for more.")
@click.option(
    "--expires", "lifetime", type=Lifetime(), metavar="90d", help="How long it is good for; without it, always."
)
@json_option
def create(**given: Any) -> None:
    """Make a key and show it, this once; no two living keys have one name.

    Example: lethe keys create --role viewer --name support --expires 90d
    """
    from cli.actions import keys

    keys.create(**given)


@group.command("list")
@json_option
def list_keys(**given: Any) -> None:
    """List all keys, the revoked and expired ones too; what opens anything is not kept.

    Example: lethe keys list
    """
    from cli.actions import keys

    keys.show_all(**given)


@group.command()
@click.argument("key_id")
@json_option
def rotate(**given: Any) -> None:
    """Give a key a new secret and show it, this once; the old one is wrong from now on.

    Example: lethe keys rotate 1f0c5e2a9b7d
    """
    from cli.actions import keys

    keys.rotate(**given)


@group.command()
@click.argument("key_id")
@json_option
def revoke(**given: Any) -> None:
    """Let a key open nothing any more; what it ordered and cannot be stopped any more goes on.

    Example: lethe keys revoke 1f0c5e2a9b7d
    """
    from cli.actions import keys

    keys.revoke(**given)


@group.command("enroll-totp")
@click.argument("key_id")
@json_option
def enroll(**given: Any) -> None:
    """Give a key one-time codes to confirm deletions with, and show their secret, this once; earlier ones end.

    Example: lethe keys enroll-totp 1f0c5e2a9b7d
    """
    from cli.actions import keys

    keys.enroll(**given)


@click.command("webhook-key")
@json_option
def show_webhook_key(**given: Any) -> None:
    """Print the key that receivers check the webhooks' signatures with (Standard Webhooks).

    Example: lethe webhook-key
    """
    from cli.actions import secrets

    secrets.show_webhook_key(**given)
