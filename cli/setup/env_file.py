"""Reads an .env as Evolution and docker compose do, and writes one that compose and a shell read alike."""

import os
import re
import secrets
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv.main import DotEnv

from cli.setup.problems import Problem
from shared.settings.forms import text

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)(?::?-([^}]*))?\}")
_PRIVATE = 0o600


def read(path: Path) -> dict[str, str]:
    """The variables of the file, with those that they refer to. Raises Problem."""
    try:
        content = text.read(path)
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}") from None
    return parse(content)


def parse(content: str) -> dict[str, str]:
    """The variables of the text. Raises Problem."""
    lines = DotEnv(None, stream=StringIO(content), interpolate=False).dict()
    given = {name: text.unquoted(value) for name, value in lines.items() if value is not None}
    return {name: _interpolate(name, value, given) for name, value in given.items()}


def _interpolate(name: str, value: str, variables: Mapping[str, str]) -> str:
    def replace(found: re.Match[str]) -> str:
        known = variables.get(found[1]) or found[2]
        if known is None:
            raise Problem(f"{name} refers to ${{{found[1]}}}, which is not in this file")
        return known

    return _REFERENCE.sub(replace, value)


def render(sections: Mapping[str, Mapping[str, str]]) -> str:
    """The text of an .env: comments, each with its variables. Raises Problem for a value that it cannot hold."""
    return "\n".join(
        "\n".join([f"# {comment}", *(f"{name}={_quoted(name, value)}" for name, value in variables.items()), ""])
        for comment, variables in sections.items()
        if variables
    )


def _quoted(name: str, value: str) -> str:
    """In single quotes, which compose and a shell take off, and in which both change nothing."""
    if _PLAIN.fullmatch(value):
        return value
    if re.search(r"['\\\n]", value):
        raise Problem(f"{name} has a single quote, a backslash or a line break: put it into a file and set {name}_FILE")
    return f"'{value}'"


def write(path: Path, content: str, *, replace: bool) -> None:
    """Write the file at once and for its owner only. Raises FileExistsError if it is there and not to be replaced."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            unfinished.replace(path)
        else:
            os.link(unfinished, path)  # fails when it is there, as a rename does not
    finally:
        unfinished.unlink(missing_ok=True)
