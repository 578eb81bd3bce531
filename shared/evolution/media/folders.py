"""Counts, measures and removes folders with everything in them. Symbolic links are never followed."""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from shared.evolution.media.storage import COUNT_SECONDS
from shared.evolution.usage import Usage
from shared.faults import files as faults

# As a context manager or a decorator, for calls in LETHE_FILES_ROOT, Evolution's working directory.
translate_file_errors = partial(faults.translate_errors, "the files root")
_CHUNK = 1_000
_LINK_SECONDS = 1
LONGEST_PATH_BYTES = 3_500  # Linux takes 4,095, and a name in the folder has up to 255
_MISSING_ERRNOS = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)


def count(path: Path) -> int:
    """Counts files and links below path. Returns 1 if path itself is a file or link, 0 if it is missing.

    After COUNT_SECONDS it stops and returns a lower bound.
    """
    if not path.is_dir() or path.is_symlink():
        return int(exists(path))
    ends, found = time.monotonic() + COUNT_SECONDS, 0
    for entry in below(path):
        found += not entry.is_dir(follow_symlinks=False)
        if time.monotonic() > ends:
            break
    return found


def count_links(path: Path) -> int:
    """Counts symbolic links below path, or the path itself; after LINK_SECONDS, at least so many."""
    if not path.is_dir() or path.is_symlink():
        return int(path.is_symlink())
    ends, found = time.monotonic() + _LINK_SECONDS, 0
    for entry in below(path):
        found += entry.is_symlink()
        if time.monotonic() > ends:
            break
    return found


def below(top: Path) -> Iterator["os.DirEntry[str]"]:
    """Every entry below a folder, but for those of which the path is too long to be looked at."""
    waiting = [str(top)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False) and len(os.fsencode(entry.path)) < LONGEST_PATH_BYTES:
                    waiting.append(entry.path)


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
    for facts in (each for top in tops for each in _facts_within(top)):
        newest = max(newest, facts.st_mtime)
        if not stat.S_ISDIR(facts.st_mode):
            number, size = number + 1, size + facts.st_size
    return Usage(number, size, datetime.fromtimestamp(newest, UTC))


def _facts_within(top: Path) -> Iterator[os.stat_result]:
    """Of the path itself, and of everything below it."""
    yield os.lstat(top)
    if top.is_dir() and not top.is_symlink():
        yield from (entry.stat(follow_symlinks=False) for entry in below(top))


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
    """Remove a folder or file; yields numbers of removed files and links, for a missing path 0.

    The folders in it are moved beside it first: so none is too deep. An interrupted removal leaves them there, under
    names that begin as the folder's.
    """
    if not top.is_dir() or top.is_symlink():
        try:
            top.unlink()
        except FileNotFoundError:
            yield 0
        else:
            yield 1
        return
    removed, waiting = 0, [top]
    while waiting:
        folder = waiting.pop()
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            with os.scandir(handle) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
            for name, is_folder in found:
                if is_folder:
                    waiting.append(top.with_name(f"{top.name.partition('-')[0]}-{uuid4()}"))
                    os.rename(name, waiting[-1], src_dir_fd=handle)
                    continue
                os.unlink(name, dir_fd=handle)
                removed += 1
                if removed == _CHUNK:
                    yield removed
                    removed = 0
        finally:
            os.close(handle)
        folder.rmdir()
    yield removed
