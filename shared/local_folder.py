"""Media in a folder of this host; nothing outside of the root is ever touched."""

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

from shared.errors import Refused, Unreachable
from shared.storage import Neighbours

_CHUNK = 1_000
_TRASH = ".trash"
_NAMED = "store/chatwoot"


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
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise Refused("the files root cannot be written to")

    def count(self, instance_id: str) -> int:
        """Files of the instance, by its id."""
        folder = self._owned(instance_id)
        return sum(len(files) for _, _, files in os.walk(folder)) if folder else 0

    def erase(self, instance_id: str, deletion_id: UUID) -> Iterator[int]:
        """Rename the instance's folder into the trash of this deletion, then empty that."""
        folder = self._owned(instance_id)
        trash = self.root / _TRASH / str(deletion_id)
        if folder and _exists(folder):
            self._move(folder, trash / f"instances-{uuid4()}")
        if trash.is_dir():
            yield from _remove_tree(trash)
            trash.rmdir()

    def take_named(self, name: str, deletion_id: UUID, neighbours: Neighbours) -> tuple[int, list[str]]:
        """Move store/chatwoot/<name> into the trash, without the folders of others in it."""
        ours = _named_path(name)
        if ours is None:
            return 0, []
        folder = self.root / ours
        if not _exists(folder) or not self._is_inside(folder):
            return 0, []
        others = {path for other in neighbours() if (path := _named_path(other))}
        if ours in others:
            return 0, [ours]
        nested = {other for other in others if other.startswith(f"{ours}/")}
        return self._take(ours, nested, self.root / _TRASH / str(deletion_id) / f"chatwoot-{uuid4()}"), []

    def _take(self, ours: str, nested: set[str], target: Path) -> int:
        folder = self.root / ours
        if not nested:
            files = sum(len(files) for _, _, files in os.walk(folder)) if not folder.is_symlink() else 1
            self._move(folder, target)
            return files
        taken = 0
        for entry in sorted(os.listdir(folder)):
            path = f"{ours}/{entry}"
            inner = {other for other in nested if other.startswith(f"{path}/")}
            if path not in nested:
                taken += self._take(path, inner, target / entry)
        return taken

    def _owned(self, instance_id: str) -> Path | None:
        if instance_id in ("", ".", "..") or "/" in instance_id or "\x00" in instance_id:
            return None
        folder = self.root / "instances" / instance_id
        return folder if self._is_inside(folder) else None

    def _is_inside(self, path: Path) -> bool:
        """Whether no symbolic link on the way leads elsewhere; the last part may be one, it is moved as such."""
        parent = Path(os.path.realpath(path.parent))
        return parent == Path(os.path.realpath(self.root)) / path.parent.relative_to(self.root)

    def _move(self, folder: Path, target: Path) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)  # atomic: a kill leaves it here or there
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unreachable("the files root", error.strerror) from error


def _named_path(name: str) -> str | None:
    """store/chatwoot/<name> as the gateway's path.join would have it; None when that leaves store/chatwoot."""
    if "\x00" in name:
        return None
    path = posixpath.normpath(f"{_NAMED}/{name}")
    return path if path.startswith(f"{_NAMED}/") else None


def _exists(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except (OSError, ValueError):  # a name that no file system takes has no folder
        return False


def _remove_tree(top: Path) -> Iterator[int]:
    """Empty a folder without following links; yields how many files went at a time."""
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
    if removed:
        yield removed
