"""Errors of the file system: the errno and the last parts of the path."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

from shared.errors import LetheError
from shared.faults.kinds import Server
from shared.faults.sentences import translated

_LAST_PARTS = 3  # instances/<id>/<file>


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Translate errors of the file system, as the table of shared.faults has it."""
    try:
        yield
    except OSError as error:
        raise explain(what, error) from error


def explain(what: str, error: OSError) -> LetheError:
    """The error of Lethe's that an OSError is."""
    code = errno.errorcode.get(error.errno or 0, "unknown")
    return translated(what, Server.FILES, code, error.strerror or type(error).__name__, does=_tail(error.filename))


def _tail(path: object) -> str:
    if not isinstance(path, str | bytes | os.PathLike):
        return ""
    parts = [part for part in PurePath(os.fsdecode(path)).parts if part != "/"][-_LAST_PARTS:]
    return f'"{"/".join(part if len(part) <= 60 else f"{part[:59]}…" for part in parts)}"'
