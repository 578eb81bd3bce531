"""API keys on the server: made, listed, rotated and revoked; each is shown once."""

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import segno
from sqlalchemy import Connection, select

from cli import account, wording
from cli.runtime import print_json, reached, stop
from shared.access import api_keys, one_time_codes
from shared.access.api_keys import NewKey
from shared.audit import chain
from shared.audit.entries import Action, Decision, Entry
from shared.database.connections import own_transaction
from shared.database.enums import Role
from shared.database.models import ApiKey, OneTimeCodes

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


def create(role: str, name: str, instances: tuple[str, ...], lifetime: timedelta | None, as_json: bool) -> None:
    """Make it, and show it once."""
    with reached() as made, own_transaction(made.own) as connection:
        if bearer := api_keys.find_active(connection, name):  # nobody could tell whose of the two did something
            stop(f"The key {bearer} is called {name!r} already: give another name, or rotate or revoke that one")
        new = api_keys.create(
            connection, made.settings, name=name, role=Role(role), instances=instances or None, lifetime=lifetime
        )
        _tell(connection, f"created {new.id} as {role}")
    _show_once(new, as_json=as_json)


def show_all(as_json: bool) -> None:
    """Show all of them."""
    codes = OneTimeCodes.enrolled_at, OneTimeCodes.locked_until
    query = select(ApiKey.__table__, *codes).outerjoin(OneTimeCodes, OneTimeCodes.key_id == ApiKey.id)
    with reached() as made, own_transaction(made.own) as connection:
        keys = [_facts(dict(row)) for row in connection.execute(query.order_by(ApiKey.created_at)).mappings()]
    if as_json:
        print_json(keys)
        return
    if not keys:
        click.echo("There are no keys besides LETHE_ADMIN_KEY: `lethe keys create` makes one", err=True)
        return
    width = max(4, *(len(repr(key["name"])) for key in keys))
    click.echo(f"{'id':<12}  {'state':<7}  {'role':<8}  {'codes':<8}  {'name':<{width}}  instances")
    for key in keys:
        click.echo(_row(key, width))


def _row(key: dict[str, Any], width: int) -> str:
    limited = wording.listed(key["instances"]) if key["instances"] is not None else "all instances"
    until = f"until {wording.moment(key['expires_at'])}" if key["expires_at"] else ""
    state = f"{key['id']:<12}  {key['state']:<7}  {key['role']:<8}  {_codes(key):<8}"
    return f"{state}  {key['name']!r:<{width}}  {limited}  {until}".rstrip()


def _codes(key: dict[str, Any]) -> str:
    """Whether its holder can confirm with one-time codes."""
    if key["enrolled_at"] is None:
        return "-"
    return "locked" if key["locked_until"] and key["locked_until"] > datetime.now(UTC) else "enrolled"


def rotate(key_id: str, as_json: bool) -> None:
    """Give it a new secret, and show that once."""
    with reached() as made, own_transaction(made.own) as connection:
        new = api_keys.rotate(connection, made.settings, key_id)
        if new is None:
            stop("There is no such key that is neither revoked nor expired")
        _tell(connection, f"rotated {new.id}")
    _show_once(new, as_json=as_json)


def revoke(key_id: str, as_json: bool) -> None:
    """Revoke it, and say so."""
    with reached() as made, own_transaction(made.own) as connection:
        if not api_keys.revoke(connection, key_id):
            stop("There is no such key that is not revoked already")
        _tell(connection, f"revoked {key_id}")
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        click.echo(f"{key_id} is revoked")


def enroll(key_id: str, as_json: bool) -> None:
    """Give it one-time codes, and show their secret once."""
    with reached() as made, own_transaction(made.own) as connection:
        uri = one_time_codes.enroll(connection, made.settings, key_id)
        if uri is None:
            stop("There is no such key that is neither revoked nor expired")
        _tell(connection, f"enrolled {key_id} for one-time codes")
    if as_json:
        print_json({"id": key_id, "uri": uri})
        return
    segno.make(uri).terminal(compact=True)
    click.echo(uri)
    click.echo("This is the only time that it is shown: scan it with an authenticator now", err=True)


def _tell(connection: Connection, what: str) -> None:
    """A line of the audit: the key's id, never its name, for that is free text."""
    chain.append(connection, Entry(Action.KEYS, Decision.SUCCEEDED, account.actor(), reason=what))


def _show_once(new: NewKey, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(new))
        return
    click.echo(new.key)
    click.echo(f"This is the only time that it is shown. Its id is {new.id}", err=True)


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    """What may be known of a key."""
    facts = {name: value for name, value in row.items() if name != "key_hash"}
    expired = row["expires_at"] is not None and row["expires_at"] <= datetime.now(UTC)
    return facts | {"state": "revoked" if row["revoked_at"] else "expired" if expired else "active"}
