"""Where archives are written: a folder that all workers see, or a bucket."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

from shared.errors import Refused
from shared.settings import Settings

_FORBIDDEN = ("instances", "store", ".trash")  # of Evolution's working directory
_OF_EVOLUTION = "evolution-api"  # what its objects begin with


class Destination(Protocol):
    """A place for files. What is closed there appears whole, under its name, and is never written again."""

    place: str  # as it is shown

    def probe(self, needed_bytes: int = 0) -> None:
        """Write a small file and remove it; raises Unreachable or Refused when the place cannot take an archive."""

    def write(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """A new file. It appears when the block ends, and not at all when the block raises."""

    def read(self, path: str) -> Iterator[bytes]:
        """What the store has under the path, chunk by chunk."""

    def sizes(self, folder: str) -> dict[str, int]:
        """The paths of all files below the folder, with their bytes."""

    def remove(self, path: str) -> None:
        """Remove a file that was never part of a closed archive."""


def of(place: str, settings: Settings) -> Destination:
    """The destination of a folder's path, or of s3://bucket/prefix; raises Refused where an instance's data is."""
    if "://" not in place:
        from shared.archives.folder import Folder

        return Folder(_outside(Path(place).absolute(), settings.files_root))
    parts = urlsplit(place)
    prefix = parts.path.strip("/")
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise Refused("an export goes to a folder, or to s3://bucket/prefix")
    if parts.netloc == settings.s3_bucket and prefix.split("/")[0] == _OF_EVOLUTION:
        raise Refused(f"an export cannot go below {_OF_EVOLUTION}/ of Evolution's own bucket: a deletion erases there")
    from shared.archives.bucket import Bucket  # boto3 takes 23 MB

    return Bucket(settings, parts.netloc, prefix)


def _outside(folder: Path, files_root: Path | None) -> Path:
    if files_root is not None:
        target, root = folder.resolve(), files_root.resolve()
        if target.is_relative_to(root) and target.relative_to(root).parts[:1] in [(name,) for name in _FORBIDDEN]:
            raise Refused(
                f"an export cannot go into {target.relative_to(root).parts[0]}/ of LETHE_FILES_ROOT: "
                "a deletion erases there"
            )
    return folder
