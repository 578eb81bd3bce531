"""What `lethe keys` does: creates, lists, rotates and revokes API keys."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import segno
from sqlalchemy import Connection, select

from cli import account
from cli.runtime import connected, output, print_json, stop
from shared import formatting
from shared.access import api_keys, one_time_codes
from shared.access.api_keys import NewKey
from shared.audit import chain
from shared.audit.entries import Action, Decision, Entry
from shared.database.connections import own_transaction
from shared.database.enums import Role
from shared.database.models import ApiKey, OneTimeCodes
from shared.translations.texts import _


def create(role: str, name: str, instances: tuple[str, ...], lifetime: timedelta | None, as_json: bool) -> None:
    """Create the key, and show it once."""
    with connected() as made, own_transaction(made.own) as connection:
        if existing := api_keys.find_active(connection, name):  # the audit could not tell the two apart
            stop(
                _(
                    "The key {existing} already has the name {name!r}: give another name, or rotate or revoke that key",
                    existing=existing,
                    name=name,
                )
            )
        new = api_keys.create(
            connection, made.settings, name=name, role=Role(role), instances=instances or None, lifetime=lifetime
        )
        _audit(connection, f"created {new.id} as {role}")
    _show_once(new, as_json=as_json)


def show_all(as_json: bool) -> None:
    """Show all keys."""
    codes = OneTimeCodes.enrolled_at, OneTimeCodes.locked_until
    query = select(ApiKey.__table__, *codes).outerjoin(OneTimeCodes, OneTimeCodes.key_id == ApiKey.id)
    with connected() as made, own_transaction(made.own) as connection:
        keys = [_facts(dict(row)) for row in connection.execute(query.order_by(ApiKey.created_at)).mappings()]
    if as_json:
        print_json(keys)
        return
    if not keys:
        click.echo(_("There are no keys except LETHE_ADMIN_KEY: `lethe keys create` makes one"), err=True)
        return
    width = max(4, *(len(repr(key["name"])) for key in keys))
    heads = _("id"), _("state"), _("role"), _("codes")
    click.echo("{:<12}  {:<7}  {:<8}  {:<8}".format(*heads) + f"  {_('name'):<{width}}  {_('instances')}")
    for key in keys:
        click.echo(_row(key, width))


def _row(key: dict[str, Any], width: int) -> str:
    limited = formatting.quoted(key["instances"]) if key["instances"] is not None else _("all instances")
    until = _("until {time}", time=formatting.local_time(key["expires_at"])) if key["expires_at"] else ""
    state = f"{key['id']:<12}  {key['state']:<7}  {key['role']:<8}  {_codes(key):<8}"
    return f"{state}  {key['name']!r:<{width}}  {limited}  {until}".rstrip()


def _codes(key: dict[str, Any]) -> str:
    """Whether the key has one-time codes."""
    if key["enrolled_at"] is None:
        return "-"
    return _("locked") if key["locked_until"] and key["locked_until"] > datetime.now(UTC) else _("enrolled")


def rotate(key_id: str, as_json: bool) -> None:
    """Give the key a new secret, and show it once."""
    with connected() as made, own_transaction(made.own) as connection:
        new = api_keys.rotate(connection, made.settings, key_id)
        if new is None:
            stop(_("There is no such key, or it is revoked or expired"))
        _audit(connection, f"rotated {new.id}")
    _show_once(new, as_json=as_json)


def revoke(key_id: str, as_json: bool) -> None:
    """Revoke the key."""
    with connected() as made, own_transaction(made.own) as connection:
        if not api_keys.revoke(connection, key_id):
            stop(_("There is no such key, or it is already revoked"))
        _audit(connection, f"revoked {key_id}")
    output({"id": key_id, "revoked": True}, _("{key_id} is revoked", key_id=key_id), as_json=as_json)


def enroll(key_id: str, as_json: bool) -> None:
    """Give the key one-time codes, and show their secret once."""
    with connected() as made, own_transaction(made.own) as connection:
        uri = one_time_codes.enroll(connection, made.settings, key_id)
        if uri is None:
            stop(_("There is no such key, or it is revoked or expired"))
        _audit(connection, f"enrolled {key_id} for one-time codes")
    if as_json:
        print_json({"id": key_id, "uri": uri})
        return
    segno.make(uri).terminal(compact=True)
    click.echo(uri)
    click.echo(_("It is shown only once: scan it with an authenticator app now"), err=True)


def _audit(connection: Connection, what: str) -> None:
    """Write an audit line; it has the key's id, not its name, because names are free text."""
    chain.append(connection, Entry(Action.KEYS, Decision.SUCCEEDED, account.actor(), reason=what))


def _show_once(new: NewKey, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(new))
        return
    click.echo(new.key)
    click.echo(_("It is shown only once. Its id is {id}", id=new.id), err=True)


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    """The key's row without its hash, and its state."""
    facts = {name: value for name, value in row.items() if name != "key_hash"}
    expired = row["expires_at"] is not None and row["expires_at"] <= datetime.now(UTC)
    return facts | {"state": "revoked" if row["revoked_at"] else "expired" if expired else "active"}
