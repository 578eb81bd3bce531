"""Archives in a folder: files 0600, folders 0700."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO
from uuid import uuid4

from shared.errors import Refused
from shared.faults import files as faults

_CHUNK = 1 << 20
_HALF = ".partial"  # of the name of a file that is being written
_KEPT_FREE = 64 << 20  # bytes
_translate_errors = partial(faults.translate_errors, "the folder of the export")


class Folder:
    """A folder that exists: Lethe makes only what it needs below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = str(root)

    def probe(self, needed_bytes: int = 0) -> None:
        """Write a small file and remove it; raises Refused where it cannot, or where there is no room."""
        if not self.root.is_dir():
            raise Refused("the folder of the export does not exist: create it, for example as a volume")
        path = f".lethe-probe-{uuid4()}"
        with self.write(path) as file:
            file.write(b"lethe")
        self.remove(path)
        with _translate_errors():
            free = shutil.disk_usage(self.root).free
        if free < needed_bytes + _KEPT_FREE:
            needed = (needed_bytes + _KEPT_FREE) >> 20
            raise Refused(f"the folder of the export has {free >> 20:,} MiB left, and about {needed:,} MiB are needed")

    @contextmanager
    def write(self, path: str) -> Iterator[IO[bytes]]:
        """A file that appears when the block ends, and is on the disk then."""
        target = self.root / path
        half = target.with_name(f"{target.name}.{uuid4().hex[:8]}{_HALF}")
        with _translate_errors():
            self._make(target.parent)
            descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=_CHUNK) as file:
                yield _Translating(file)  # type: ignore[misc] # what is needed of a file
                with _translate_errors():
                    file.flush()
                    os.fsync(file.fileno())
            with _translate_errors():
                os.link(half, target)  # never over a file that is there
        finally:
            half.unlink(missing_ok=True)
        with _translate_errors():
            _sync(target.parent)

    def _make(self, folder: Path) -> None:
        """Make a folder and its parents up to the root, each for this user alone."""
        if folder == self.root or folder.is_dir():
            return
        self._make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync(folder.parent)

    def read(self, path: str) -> Iterator[bytes]:
        """The file, from the disk and not from the memory of the system where it can be told so."""
        with _translate_errors(), open(self.root / path, "rb") as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while chunk := file.read(_CHUNK):
                yield chunk

    def sizes(self, folder: str) -> dict[str, int]:
        """All files below the folder, half ones too."""
        found = {}
        with _translate_errors():
            for place, _, names in os.walk(self.root / folder):
                for name in names:
                    path = Path(place, name)
                    found[path.relative_to(self.root).as_posix()] = path.lstat().st_size
        return found

    def remove(self, path: str) -> None:
        """Remove a file that was never part of a closed archive."""
        with _translate_errors():
            (self.root / path).unlink(missing_ok=True)


class _Translating:
    """A file whose errors are those of the folder, in the sentence that the operator reads."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        with _translate_errors():
            return self._file.write(data)


def _sync(folder: Path) -> None:
    """Make a new name durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
