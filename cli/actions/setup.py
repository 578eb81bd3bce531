"""The settings as they are, without their secrets; and the way to the demo."""

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import click
from pydantic import SecretStr

import shared
from cli.runtime import print_json, read_settings, stop
from shared import settings

_MASK = "***"


def show_config(as_json: bool) -> None:
    """Show each setting."""
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
    """A setting's value as it may be shown."""
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return mask_url(secret) if "://" in secret else _MASK
    if isinstance(value, tuple):
        return [mask(each) for each in value]
    if isinstance(value, Path):
        return str(value)
    return mask_url(value) if isinstance(value, str) and "://" in value else value


def mask_url(url: str) -> str:
    """The URL without its password, and without what its query says: that may be one as well."""
    try:
        parts = urlsplit(url)
    except ValueError:  # taken by a driver that reads it in another way
        return _MASK
    login, at, place = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    query = urlencode([(name, _MASK) for name, _ in parse_qsl(parts.query, keep_blank_values=True)], safe="*")
    return parts._replace(netloc=f"{user}{colon}{_MASK if colon else ''}{at}{place}", query=query).geturl()


def demo(keep: bool) -> None:
    """Become the demo."""
    folder = Path(shared.__file__).parents[1]
    if not (folder / "demo" / "__main__.py").is_file():
        stop("The demo is in Lethe's source tree, not in what is installed here: clone it and run `make demo`")
    os.chdir(folder)
    # In this process's place: the demo hears a Ctrl-C itself, and has things to stop.
    os.execv(sys.executable, [sys.executable, "-m", "demo", *(["--keep"] if keep else [])])  # noqa: S606 - fixed
