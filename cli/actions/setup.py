"""What `lethe config` does: shows the settings, with secrets masked."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import click
from pydantic import SecretStr

from cli.runtime import print_json, read_settings
from shared import settings

_MASK = "***"
_BETWEEN_URLS = re.compile(r"[,;](?=\s*[a-z][a-z0-9+.-]*://)")


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
        return ",".join(map(_mask_secret_url, _BETWEEN_URLS.split(secret))) if "://" in secret else _MASK
    if isinstance(value, tuple):
        return [mask(each) for each in value]
    if isinstance(value, Path):
        return str(value)
    return mask_url(value) if isinstance(value, str) and "://" in value else value


def _mask_secret_url(url: str) -> str:
    """The URL as mask_url() shows it; of a receiver's, such as Slack's, only the host: its path is the secret."""
    shown = mask_url(url)
    scheme, _, rest = shown.partition("://")
    host = re.split("[/?]", rest)[0].rpartition("@")[2]
    return f"{scheme}://{host}/{_MASK}" if scheme in ("http", "https") else shown


def mask_url(url: str) -> str:
    """The URL with its password and the values of its query masked; a query may contain a password."""
    try:
        parts = urlsplit(url)
    except ValueError:  # a driver may accept it nevertheless
        return _MASK
    if "@" in url and "@" not in parts.netloc:  # a password with /, ? or #, which some drivers accept
        return _MASK
    login, at, place = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    query = urlencode([(name, _MASK) for name, _ in parse_qsl(parts.query, keep_blank_values=True)], safe="*")
    return parts._replace(netloc=f"{user}{colon}{_MASK if colon else ''}{at}{place}", query=query).geturl()
