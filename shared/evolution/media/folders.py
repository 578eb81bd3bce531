"""Folders on a disk: counted, measured and removed with all that is in them; no link is ever followed."""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from shared.errors import TransientError, Unreachable
from shared.evolution.media.storage import COUNT_SECONDS
from shared.evolution.usage import Usage

_CHUNK = 1_000
_AWAY = (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENODEV)


def count(path: Path) -> int:
    """Files in a folder, at least; anything else is one by itself, and a link is never followed."""
    if not path.is_dir() or path.is_symlink():
        return int(exists(path))
    ends, found = time.monotonic() + COUNT_SECONDS, 0
    for folder, folders, files in os.walk(path, onerror=raise_translated):
        found += len(files) + sum((Path(folder) / name).is_symlink() for name in folders)
        if time.monotonic() > ends:
            break
    return found


def folders_in(place: Path, is_called: Callable[[str], bool]) -> set[str]:
    """The folders in a place that are called so; a link is none."""
    try:
        with os.scandir(place) as entries:
            return {each.name for each in entries if is_called(each.name) and each.is_dir(follow_symlinks=False)}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise translated(error) from error


def measure(*tops: Path) -> Usage:
    """Everything in these folders, themselves included: a rename into one makes it new."""
    number, size, newest = 0, 0, 0.0
    for path in (each for top in tops for each in _within(top)):
        facts = os.lstat(path)
        newest = max(newest, facts.st_mtime)
        if not stat.S_ISDIR(facts.st_mode):
            number, size = number + 1, size + facts.st_size
    return Usage(number, size, datetime.fromtimestamp(newest, UTC))


def _within(top: Path) -> Iterator[str]:
    """It, and everything in it; a link is never followed."""
    yield str(top)
    if top.is_dir() and not top.is_symlink():
        for folder, folders, files in os.walk(top, onerror=raise_translated):
            yield from (os.path.join(folder, name) for name in (*folders, *files))


def translated(error: OSError) -> TransientError:
    """A volume that is away is waited for; what stands in the way on it counts."""
    if error.errno in _AWAY:
        return Unreachable("the files root", error.strerror)
    return TransientError(f"the files root: {error.strerror}")


def raise_translated(error: OSError) -> None:
    """os.walk would leave out what it may not read, and it would count as gone."""
    raise translated(error) from error


def may_write(place: Path) -> bool:
    """Whether something can be made in a folder, or moved out of it."""
    return os.access(place, os.W_OK | os.X_OK, effective_ids=True)


def exists(path: Path) -> bool:
    """Whether something is there, be it a link that leads nowhere."""
    try:
        return os.path.lexists(path)
    except (OSError, ValueError):  # a name that no file system takes has no folder
        return False


def remove(top: Path) -> Iterator[int]:
    """Remove a folder without following links; yields how many files went at a time."""
    if not top.is_dir() or top.is_symlink():
        top.unlink(missing_ok=True)
        yield 1
        return
    removed = 0
    for _, folders, files, handle in os.fwalk(top, topdown=False, follow_symlinks=False):
        for file in files:
            os.unlink(file, dir_fd=handle)
            removed += 1
            if removed == _CHUNK:
                yield removed
                removed = 0
        for folder in folders:
            try:
                os.rmdir(folder, dir_fd=handle)
            except NotADirectoryError:  # a link to a folder
                os.unlink(folder, dir_fd=handle)
                removed += 1
    top.rmdir()
    yield removed
