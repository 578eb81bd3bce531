"""Counts, measures and removes folders with everything in them. Symbolic links are never followed."""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from shared.evolution.media.storage import COUNT_SECONDS
from shared.evolution.usage import Usage
from shared.faults import files as faults

# As a context manager or a decorator, for calls in LETHE_FILES_ROOT, Evolution's working directory.
translate_file_errors = partial(faults.translate_errors, "the files root")
_CHUNK = 1_000
_MISSING_ERRNOS = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)


def count(path: Path) -> int:
    """Counts files and links below path. Returns 1 if path itself is a file or link, 0 if it is missing.

    After COUNT_SECONDS it stops and returns a lower bound.
    """
    if not path.is_dir() or path.is_symlink():
        return int(exists(path))
    ends, found = time.monotonic() + COUNT_SECONDS, 0
    for folder, folders, files in os.walk(path, onerror=raise_error):
        found += len(files) + sum((Path(folder) / name).is_symlink() for name in folders)
        if time.monotonic() > ends:
            break
    return found


def subfolders(place: Path, accepts: Callable[[str], bool]) -> set[str]:
    """Names of the subfolders for which accepts(name) is true, without links. A missing place gives an empty set."""
    try:
        with os.scandir(place) as entries:
            return {each.name for each in entries if accepts(each.name) and each.is_dir(follow_symlinks=False)}
    except FileNotFoundError:
        return set()


def measure(*tops: Path) -> Usage:
    """Number, bytes and newest mtime.

    The folders' own mtimes count, because moving a folder in changes only its parent's mtime.
    """
    number, size, newest = 0, 0, 0.0
    for path in (each for top in tops for each in _within(top)):
        facts = os.lstat(path)
        newest = max(newest, facts.st_mtime)
        if not stat.S_ISDIR(facts.st_mode):
            number, size = number + 1, size + facts.st_size
    return Usage(number, size, datetime.fromtimestamp(newest, UTC))


def _within(top: Path) -> Iterator[str]:
    """The path itself, and everything below it."""
    yield str(top)
    if top.is_dir() and not top.is_symlink():
        for folder, folders, files in os.walk(top, onerror=raise_error):
            yield from (os.path.join(folder, name) for name in (*folders, *files))


def raise_error(error: OSError) -> None:
    """onerror callback for os.walk: by default os.walk skips unreadable folders silently."""
    raise error


def may_write(place: Path) -> bool:
    """Whether entries can be created in the folder, or moved out of it."""
    return os.access(place, os.W_OK | os.X_OK, effective_ids=True)


def exists(path: Path) -> bool:
    """Whether the path exists. True for a broken link too. Raises if the disk or folder cannot be read."""
    try:
        os.lstat(path)
    except ValueError:  # the name is not possible on this file system
        return False
    except OSError as error:
        if error.errno in _MISSING_ERRNOS:
            return False
        raise  # a disk that is away, or a folder that may not be searched, is no answer
    return True


def remove(top: Path) -> Iterator[int]:
    """Remove a folder or file; yields numbers of removed files and links, for a missing path 0."""
    if not top.is_dir() or top.is_symlink():
        try:
            top.unlink()
        except FileNotFoundError:
            yield 0
        else:
            yield 1
        return
    removed = 0
    for _, folders, files, handle in os.fwalk(top, topdown=False, onerror=raise_error, follow_symlinks=False):
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
