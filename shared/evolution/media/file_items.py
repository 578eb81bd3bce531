"""The files of an instance one by one, in the order of their paths."""

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from shared.evolution.media import folders
from shared.evolution.media.items import Item, Readable, Vanished

_SESSION_ENDING = ".json"  # what Baileys keeps in instances/<id>: creds.json, pre-key-1.json, ...


def of_files(root: Path, tops: list[Path], begin: str, *, hold_sessions: bool) -> Iterator[Item]:
    """Files and links of these paths below root, from the key `begin` on."""
    with folders.translate_file_errors():
        for path in sorted((top for top in tops if folders.exists(top)), key=lambda top: _key(root, top)):
            yield from _walk(root, path, begin, hold_sessions=hold_sessions)


def _walk(root: Path, path: Path, begin: str, *, hold_sessions: bool) -> Iterator[Item]:
    try:
        facts = os.lstat(path)
        if stat.S_ISDIR(facts.st_mode):
            key = f"{_key(root, path)}/"
            if key < begin and not begin.startswith(key):
                return
            with os.scandir(path) as entries:  # as strings, for a folder's name sorts with its slash
                names = sorted(f"{each.name}/" if each.is_dir(follow_symlinks=False) else each.name for each in entries)
            for name in names:
                yield from _walk(root, path / name, begin, hold_sessions=hold_sessions)
            return
    except FileNotFoundError:  # it was removed meanwhile
        return
    key = _key(root, path)
    is_link = stat.S_ISLNK(facts.st_mode)
    if key < begin or not (is_link or stat.S_ISREG(facts.st_mode)):  # sockets and the like hold no data
        return
    yield Item(
        key,
        0 if is_link else facts.st_size,
        max(facts.st_mtime, facts.st_ctime),
        lambda offset, length: _open(path, offset, length),
        link=os.readlink(path) if is_link else None,
        is_session=hold_sessions and path.name.endswith(_SESSION_ENDING),
    )


def _key(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _open(path: Path, offset: int, length: int) -> AbstractContextManager[Readable]:  # noqa: ARG001 - as Item.read
    with folders.translate_file_errors():
        if not folders.exists(path):
            raise Vanished
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")
    file.seek(offset)
    return file
