"""Media in a local folder. Nothing outside of the root is ever touched."""

import errno
import json
import os
import posixpath
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

from shared.errors import Refused, RequirementNotMet
from shared.evolution import instance_ids
from shared.evolution.media import file_items, folders, rights
from shared.evolution.media.items import Item
from shared.evolution.media.storage import NotMounted, never
from shared.evolution.usage import OtherNames, Usage

# Into this trash, but perhaps into another one.
_CANNOT_MOVE = (errno.EXDEV, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT)
_MAX_NAME_BYTES = 255  # on every common file system
_TRASH = ".trash"
_TRASH_PARENTS = ("", "instances/", "store/")  # each may be a volume, and a move stays on its volume
_NAMED = "store/chatwoot"
_BY_ID, _BY_NAME = "instances", "chatwoot"  # prefixes of names in the trash


class LocalFolder:
    """Evolution's working directory: instances/<id>/ and store/chatwoot/<name>/."""

    kind = "files"
    reach = None

    def __init__(self, root: Path) -> None:
        self.root = root

    @folders.translate_file_errors()
    def probe(self) -> None:
        """Raise NotMounted when the root is not Evolution's working directory, Refused when Lethe may not write."""
        try:
            found = {entry.name for entry in os.scandir(self.root)}
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotMounted(f"the files root cannot be read: {error.strerror}") from error
        if not found & {"instances", "store"} and not self._is_working_directory():
            what = "holds neither instances/ nor store/" if found - {_TRASH} else "is empty"
            raise NotMounted(f"the files root {what}: LETHE_FILES_ROOT has to lead to Evolution's working directory")
        trashes = [f"{home}{_TRASH}" for home in _TRASH_PARENTS]
        for part in ("instances", "store", _NAMED, *trashes):
            if (self.root / part).is_symlink():
                problem = f"{part} in the files root is a symbolic link, and none is followed"
                raise RequirementNotMet(problem, "mount it there", rights.SECTION)
        for part in ("instances", _NAMED, *trashes):
            if (self.root / part).exists() and not self._is_writable(part):
                problem = f"{part} in the files root cannot be written to"
                raise RequirementNotMet(problem, "let Lethe's user write there", rights.SECTION)

    def _is_working_directory(self) -> bool:
        """Whether Evolution is installed here. With sessions in Redis, it creates neither of its folders."""
        try:
            package = json.loads((self.root / "package.json").read_bytes())
        except (OSError, ValueError):
            return False
        # Sources alone may be a checkout beside a compose file; the container has another working directory.
        is_installed = (self.root / "node_modules").is_dir()
        return isinstance(package, dict) and package.get("name") == "evolution-api" and is_installed

    def _is_writable(self, part: str) -> bool:
        """Whether entries can be moved from there into a trash: that of the root or that of its volume."""
        place, tops = self.root / part, (self.root, self.root / part.partition("/")[0])
        return folders.may_write(place) and any(map(folders.may_write, tops))

    @folders.translate_file_errors()
    def rehearse(self, instance_id: str, name: str, other_names: OtherNames) -> None:
        """Look at the rights on each folder that will be moved and emptied."""
        self.probe()
        for path in self._mine(instance_id, name, other_names):
            rights.check(self.root, path)

    def _mine(self, instance_id: str, name: str, other_names: OtherNames) -> list[Path]:
        """The paths, by id and by name, that erasing the instance moves away."""
        owned = self._owned(instance_id)
        named = [self.root / path for path in self._named(name, other_names)[0]]
        return list(filter(folders.exists, [*([owned] if owned else []), *named]))

    @folders.translate_file_errors()
    def count(self, instance_id: str) -> int:
        """The number of files in the instance's folder."""
        folder = self._owned(instance_id)
        return folders.count(folder) if folder else 0

    def erase(self, instance_id: str, deletion_id: UUID, stop: Callable[[], bool] = never) -> Iterator[int]:
        """Move the instance's folder into the trash of this deletion, then empty the trash."""
        with folders.translate_file_errors():
            folder = self._owned(instance_id)
            if folder and folders.exists(folder):
                self._move(folder, deletion_id, _BY_ID)
        for number in self.empty_trash(deletion_id):
            yield number
            if stop():
                return

    def empty_trash(self, deletion_id: UUID) -> Iterator[int]:
        """Remove what this deletion has moved into the trash; yields numbers of removed files."""
        with folders.translate_file_errors():
            for trash in filter(Path.is_dir, self._trashes(deletion_id)):
                for part in sorted(trash.iterdir()):
                    # What belonged to the name was counted when it was moved.
                    yield from (
                        folders.remove(part) if part.name.startswith(_BY_ID) else (0 for _ in folders.remove(part))
                    )
                trash.rmdir()

    def items(self, instance_id: str, begin: str = "") -> Iterator[Item]:
        """Files of the instance's folder; its sessions are in it."""
        folder = self._owned(instance_id)
        return file_items.of_files(self.root, [folder] if folder else [], begin, hold_sessions=True)

    def named_items(self, name: str, other_names: OtherNames, begin: str = "") -> Iterator[Item]:
        """Files of store/chatwoot/<name> that no other instance has."""
        tops = [self.root / path for path in self._named(name, other_names)[0]]
        return file_items.of_files(self.root, tops, begin, hold_sessions=False)

    def clock(self) -> float:
        """This machine's."""
        return time.time()

    @folders.translate_file_errors()
    def uncovered(self, instance_id: str, name: str, other_names: OtherNames) -> list[str]:
        """That to which symbolic links lead: they go, and are not followed."""
        number = sum(map(folders.count_links, self._mine(instance_id, name, other_names)))
        return [f"what symbolic links in the instance's folders lead to: {number}"] if number else []

    @folders.translate_file_errors()
    def ids(self) -> set[str]:
        """Instance ids that have a folder in instances/."""
        return folders.subfolders(self.root / "instances", instance_ids.is_uuid)

    @folders.translate_file_errors()
    def measure(self, instance_id: str) -> Usage:
        """Usage of the instance's folder."""
        folder = self._owned(instance_id)
        return folders.measure(folder) if folder else Usage(0, 0, None)

    @folders.translate_file_errors()
    def trash_ids(self) -> set[str]:
        """Ids of the deletions that have something in the trash."""
        return set().union(
            *(folders.subfolders(self.root / f"{home}{_TRASH}", instance_ids.is_uuid) for home in _TRASH_PARENTS)
        )

    @folders.translate_file_errors()
    def measure_trash(self, deletion_id: UUID) -> Usage:
        """Usage of the deletion's trash."""
        held = [folders.measure(trash) for trash in self._trashes(deletion_id) if trash.is_dir()]
        newest = max((each.newest for each in held if each.newest), default=None)
        return Usage(sum(each.number for each in held), sum(each.size_bytes for each in held), newest)

    @folders.translate_file_errors()
    def count_named(self, name: str, other_names: OtherNames) -> int:
        """The number of files in store/chatwoot/<name>, without nested folders of other instances."""
        return sum(folders.count(self.root / path) for path in self._named(name, other_names)[0])

    @folders.translate_file_errors()
    def find_named(self, other_names: OtherNames) -> dict[str, Usage]:
        """Folders in store/chatwoot whose names no existing instance has, without nested folders of others."""
        names, others = folders.subfolders(self.root / _NAMED, instance_ids.is_storable), other_names()
        found = {name: self._named(name, lambda: others)[0] for name in names}
        return {name: folders.measure(*(self.root / path for path in paths)) for name, paths in found.items() if paths}

    @folders.translate_file_errors()
    def remove_named(self, name: str, deletion_id: UUID, other_names: OtherNames) -> tuple[int, list[str]]:
        """Move store/chatwoot/<name> into the trash, without nested folders of other instances."""
        mine, shared = self._named(name, other_names)
        moved = 0
        for path in mine:
            files = folders.count(self.root / path)
            self._move(self.root / path, deletion_id, _BY_NAME)
            moved += files
        if mine:
            self._remove_empty_parents(name, other_names)
        return moved, shared

    def _remove_empty_parents(self, name: str, other_names: OtherNames) -> None:
        """Remove empty parents of the name's folder: a name with slashes makes several folders."""
        parent = posixpath.dirname(_named_path(name) or _NAMED)
        others = {_named_path(other) for other in other_names()} if parent.startswith(f"{_NAMED}/") else set()
        while parent.startswith(f"{_NAMED}/") and parent not in others:
            try:
                (self.root / parent).rmdir()
            except OSError:  # not empty
                return
            parent = posixpath.dirname(parent)

    def _named(self, name: str, other_names: OtherNames) -> tuple[list[str], list[str]]:
        """Paths that belong to this name alone, and paths that belong to another instance as well."""
        own = _named_path(name)
        if own is None or not folders.exists(self.root / own) or not self._is_inside(self.root / own):
            return [], []
        others = {path for other in other_names() if (path := _named_path(other))}
        nested = {other for other in others if other.startswith(f"{own}/") and folders.exists(self.root / other)}
        is_folder = (self.root / own).is_dir() and not (self.root / own).is_symlink()
        in_other_folder = any(own.startswith(f"{other}/") for other in others)
        # A file in the folder of another instance is that instance's; so is a link to a folder with its folder in it.
        if own in others or (not is_folder and in_other_folder) or ((self.root / own).is_symlink() and nested):
            return [], [own]
        return self._without(own, nested), []

    def _without(self, path: str, others: set[str]) -> list[str]:
        """The path; when folders of others are in it, everything in it but those."""
        if not others:
            return [path]
        if (self.root / path).is_symlink():  # links are not followed: it is kept
            return []
        entries = [f"{path}/{entry}" for entry in sorted(os.listdir(self.root / path))]
        return [
            part
            for entry in entries
            if entry not in others
            for part in self._without(entry, {other for other in others if other.startswith(f"{entry}/")})
        ]

    def _owned(self, instance_id: str) -> Path | None:
        if instance_id in ("", ".", "..", _TRASH) or "/" in instance_id or "\x00" in instance_id:
            return None
        if len(os.fsencode(instance_id)) > _MAX_NAME_BYTES:
            return None
        folder = self.root / "instances" / instance_id
        return folder if self._is_inside(folder) else None

    def _trashes(self, deletion_id: UUID) -> list[Path]:
        """Trash folders of this deletion, that of the root first; raises Refused when one is a symbolic link."""
        homes = [self.root / home for home in _TRASH_PARENTS if not home or not (self.root / home[:-1]).is_symlink()]
        trashes = [home / _TRASH / str(deletion_id) for home in homes]
        if any(trash.is_symlink() or trash.parent.is_symlink() for trash in trashes):
            raise Refused("the trash in the files root is a symbolic link")
        return trashes

    def _is_inside(self, path: Path) -> bool:
        """Whether no parent of the path is a symbolic link. The path itself may be one: the link is then moved."""
        parent = Path(os.path.realpath(path.parent))
        return parent == Path(os.path.realpath(self.root)) / path.parent.relative_to(self.root)

    def _move(self, path: Path, deletion_id: UUID, kind: str) -> None:
        """Move a path into the trash of the root, or of its own volume if it is on another one."""
        top = self.root / path.relative_to(self.root).parts[0]
        in_root, *others = self._trashes(deletion_id)
        trashes = [in_root, *(trash for trash in others if trash.is_relative_to(top))]
        for trash in trashes:
            try:
                trash.mkdir(parents=True, exist_ok=True)
                path.rename(trash / f"{kind}-{uuid4()}")  # atomic
            except OSError as error:
                if isinstance(error, FileNotFoundError) and not folders.exists(path):  # it was removed meanwhile
                    return
                if error.errno not in _CANNOT_MOVE or trash is trashes[-1]:
                    raise
            else:
                return


def _named_path(name: str) -> str | None:
    """store/chatwoot/<name> as the path.join of the gateway makes it; None for a path outside of store/chatwoot."""
    if "\x00" in name:
        return None
    path = posixpath.normpath(f"{_NAMED}/{name}")
    return path if path.startswith(f"{_NAMED}/") else None
