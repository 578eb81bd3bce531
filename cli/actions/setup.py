"""What `lethe config` does: shows the settings, with secrets masked."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import click
from pydantic import SecretStr

from cli.runtime import print_json, read_settings
from shared import settings

_MASK = "***"


def show_config(as_json: bool) -> None:
    """Show each setting with its value and source."""
    read = read_settings()
    rows = [
        {
            "setting": f"{settings.PREFIX}{name.upper()}",
            "value": mask(getattr(read, name)),
            "from": settings.source_of(name),
        }
        for name in type(read).model_fields
    ]
    if as_json:
        print_json(rows)
        return
    width = max(len(row["setting"]) for row in rows)
    for row in rows:
        origin = "" if row["from"] == row["setting"] else f"  ({row['from'].removeprefix(row['setting'])})"
        click.echo(f"{row['setting']:<{width}}  {_text(row['value'])}{origin}")


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else "" if value is None else str(value)


def mask(value: Any) -> Any:
    """A setting's value, with secrets masked."""
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return mask_url(secret) if "://" in secret else _MASK
    if isinstance(value, tuple):
        return [mask(each) for each in value]
    if isinstance(value, Path):
        return str(value)
    return mask_url(value) if isinstance(value, str) and "://" in value else value


def mask_url(url: str) -> str:
    """The URL with its password and the values of its query masked; a query may contain a password."""
    try:
        parts = urlsplit(url)
    except ValueError:  # a driver may accept it nevertheless
        return _MASK
    login, at, place = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    query = urlencode([(name, _MASK) for name, _ in parse_qsl(parts.query, keep_blank_values=True)], safe="*")
    return parts._replace(netloc=f"{user}{colon}{_MASK if colon else ''}{at}{place}", query=query).geturl()
