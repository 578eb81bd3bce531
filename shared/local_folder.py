"""Media in a folder of this host; nothing outside of the root is ever touched."""

import errno
import os
import posixpath
import stat
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from shared import instance_ids
from shared.errors import Refused, TransientError, Unreachable
from shared.storage import COUNT_SECONDS, Held, Neighbours

_CHUNK = 1_000
_AWAY = (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENODEV)
_LONGEST_NAME = 255  # bytes, of every common file system
_TRASH = ".trash"
_NAMED = "store/chatwoot"
_BY_ID, _BY_NAME = "instances", "chatwoot"  # how parts of the trash are called


class LocalFolder:
    """Evolution's working directory: instances/<id>/ and store/chatwoot/<name>/."""

    unit = "files"

    def __init__(self, root: Path) -> None:
        self.root = root

    def probe(self) -> None:
        """Raise Refused when the root is not the folder it should be."""
        try:
            found = {entry.name for entry in os.scandir(self.root)}
        except OSError as error:
            raise Refused(f"the files root cannot be read: {error.strerror}") from error
        if not found & {"instances", "store"}:
            raise Refused("the files root holds neither instances/ nor store/: is it Evolution's working directory?")
        for part in ("instances", "store", _NAMED, _TRASH):
            if (self.root / part).is_symlink():
                raise Refused(f"{part} in the files root is a symbolic link, and none is followed: mount it there")
        for place in (self.root, *(self.root / part for part in ("instances", _NAMED, _TRASH))):
            if place.exists() and not os.access(place, os.W_OK | os.X_OK):
                raise Refused(f"{place.name} in the files root cannot be written to")

    def count(self, instance_id: str) -> int:
        """Files of the instance, by its id."""
        folder = self._owned(instance_id)
        return _count(folder) if folder else 0

    def erase(self, instance_id: str, deletion_id: UUID) -> Iterator[int]:
        """Rename the instance's folder into the trash of this deletion, then empty that."""
        folder = self._owned(instance_id)
        if folder and _exists(folder):
            self._move(folder, self._trash(deletion_id) / f"{_BY_ID}-{uuid4()}")
        yield from self.empty_trash(deletion_id)

    def empty_trash(self, deletion_id: UUID) -> Iterator[int]:
        """Remove what this deletion put into the trash."""
        trash = self._trash(deletion_id)
        if not trash.is_dir():
            return
        try:
            for part in sorted(trash.iterdir()):
                # What came by its name was counted when it was taken.
                yield from _remove_tree(part) if part.name.startswith(_BY_ID) else (0 for _ in _remove_tree(part))
            trash.rmdir()
        except OSError as error:
            raise _translated(error) from error

    def ids(self) -> set[str]:
        """Ids that have a folder of their own in instances/."""
        return _folders(self.root / "instances", instance_ids.is_one)

    def measure(self, instance_id: str) -> Held:
        """Files of the instance's folder."""
        folder = self._owned(instance_id)
        return _measure(folder) if folder else Held(0, 0, None)

    def trash_ids(self) -> set[str]:
        """Deletions that have something in the trash."""
        return _folders(self.root / _TRASH, instance_ids.is_one)

    def measure_trash(self, deletion_id: UUID) -> Held:
        """Files that the deletion has in the trash."""
        return _measure(self._trash(deletion_id))

    def count_named(self, name: str, neighbours: Neighbours) -> int:
        """Files in store/chatwoot/<name>, without those in the folders of others."""
        return sum(_count(self.root / path) for path in self._named(name, neighbours)[0])

    def find_named(self, neighbours: Neighbours) -> dict[str, Held]:
        """Folders in store/chatwoot that none of these names leads to, without the folders of others in them."""
        names, others = _folders(self.root / _NAMED, instance_ids.is_text), neighbours()
        found = {name: self._named(name, lambda: others)[0] for name in names}
        return {name: _measure(*(self.root / path for path in paths)) for name, paths in found.items() if paths}

    def take_named(self, name: str, deletion_id: UUID, neighbours: Neighbours) -> tuple[int, list[str]]:
        """Move store/chatwoot/<name> into the trash, without the folders of others in it."""
        mine, shared = self._named(name, neighbours)
        taken = 0
        for path in mine:
            files = _count(self.root / path)
            self._move(self.root / path, self._trash(deletion_id) / f"{_BY_NAME}-{uuid4()}")
            taken += files
        if mine:
            self._tidy(name, neighbours)
        return taken, shared

    def _tidy(self, name: str, neighbours: Neighbours) -> None:
        """Remove the empty folders around a nested one, for a name with slashes makes several."""
        others = {_named_path(other) for other in neighbours()}
        parent = posixpath.dirname(_named_path(name) or _NAMED)
        while parent.startswith(f"{_NAMED}/") and parent not in others:
            try:
                (self.root / parent).rmdir()
            except OSError:  # not empty: somebody else's
                return
            parent = posixpath.dirname(parent)

    def _named(self, name: str, neighbours: Neighbours) -> tuple[list[str], list[str]]:
        """Paths that are this name's alone, and those that another living name leads to as well."""
        ours = _named_path(name)
        if ours is None or not _exists(self.root / ours) or not self._is_inside(self.root / ours):
            return [], []
        others = {path for other in neighbours() if (path := _named_path(other))}
        nested = {other for other in others if other.startswith(f"{ours}/") and _exists(self.root / other)}
        is_folder = (self.root / ours).is_dir() and not (self.root / ours).is_symlink()
        in_anothers = any(ours.startswith(f"{other}/") for other in others)
        # What is no folder, in another's folder, is that one's file; a link around another's folder is its as well.
        if ours in others or (not is_folder and in_anothers) or ((self.root / ours).is_symlink() and nested):
            return [], [ours]
        return self._without(ours, nested), []

    def _without(self, path: str, others: set[str]) -> list[str]:
        """The path, or, where folders of others lie in it, everything around them."""
        if not others:
            return [path]
        if (self.root / path).is_symlink():  # never looked into: it stays, with the others' folders behind it
            return []
        entries = [f"{path}/{entry}" for entry in sorted(os.listdir(self.root / path))]
        return [
            kept
            for entry in entries
            if entry not in others
            for kept in self._without(entry, {other for other in others if other.startswith(f"{entry}/")})
        ]

    def _owned(self, instance_id: str) -> Path | None:
        if instance_id in ("", ".", "..") or "/" in instance_id or "\x00" in instance_id:
            return None
        if len(os.fsencode(instance_id)) > _LONGEST_NAME:
            return None
        folder = self.root / "instances" / instance_id
        return folder if self._is_inside(folder) else None

    def _trash(self, deletion_id: UUID) -> Path:
        """Where this deletion puts things; a link in its place could lead anywhere."""
        trash = self.root / _TRASH / str(deletion_id)
        if trash.is_symlink() or trash.parent.is_symlink():
            raise Refused("the trash in the files root is a symbolic link")
        return trash

    def _is_inside(self, path: Path) -> bool:
        """Whether no symbolic link on the way leads elsewhere; the last part may be one, it is moved as such."""
        parent = Path(os.path.realpath(path.parent))
        return parent == Path(os.path.realpath(self.root)) / path.parent.relative_to(self.root)

    def _move(self, folder: Path, target: Path) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)  # atomic: a kill leaves it here or there
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not _exists(folder):  # somebody else removed it
                return
            raise _translated(error) from error


def _named_path(name: str) -> str | None:
    """store/chatwoot/<name> as the gateway's path.join would have it; None when that leaves store/chatwoot."""
    if "\x00" in name:
        return None
    path = posixpath.normpath(f"{_NAMED}/{name}")
    return path if path.startswith(f"{_NAMED}/") else None


def _count(path: Path) -> int:
    """Files in a folder, at least; anything else is one by itself, and a link is never followed."""
    if not path.is_dir() or path.is_symlink():
        return int(_exists(path))
    ends, found = time.monotonic() + COUNT_SECONDS, 0
    for folder, folders, files in os.walk(path, onerror=_raise):
        found += len(files) + sum((Path(folder) / name).is_symlink() for name in folders)
        if time.monotonic() > ends:
            break
    return found


def _folders(place: Path, is_called: Callable[[str], bool]) -> set[str]:
    """The folders in a place that are called so; a link is none."""
    try:
        with os.scandir(place) as entries:
            return {each.name for each in entries if is_called(each.name) and each.is_dir(follow_symlinks=False)}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise _translated(error) from error


def _measure(*tops: Path) -> Held:
    """Everything in these folders, themselves included: a rename into one makes it new."""
    number, size, newest = 0, 0, 0.0
    for path in (each for top in tops for each in _within(top)):
        facts = os.lstat(path)
        newest = max(newest, facts.st_mtime)
        if not stat.S_ISDIR(facts.st_mode):
            number, size = number + 1, size + facts.st_size
    return Held(number, size, datetime.fromtimestamp(newest, UTC))


def _within(top: Path) -> Iterator[str]:
    """It, and everything in it; a link is never followed."""
    yield str(top)
    if top.is_dir() and not top.is_symlink():
        for folder, folders, files in os.walk(top, onerror=_raise):
            yield from (os.path.join(folder, name) for name in (*folders, *files))


def _translated(error: OSError) -> TransientError:
    """A volume that is away is waited for; what stands in the way on it counts."""
    if error.errno in _AWAY:
        return Unreachable("the files root", error.strerror)
    return TransientError(f"the files root: {error.strerror}")


def _raise(error: OSError) -> None:
    """os.walk would leave out what it may not read, and it would count as gone."""
    raise _translated(error) from error


def _exists(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except (OSError, ValueError):  # a name that no file system takes has no folder
        return False


def _remove_tree(top: Path) -> Iterator[int]:
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
