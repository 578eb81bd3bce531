"""Files and objects as tar files, of which each can be read by itself."""

import math
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shared.archives.streams import Progress
from shared.errors import TransientError
from shared.evolution.media.items import Item, Vanished

_PART_BYTES = 32 << 20
_LARGEST_MEMBER = 64 << 20  # of a larger file each member holds a piece
_CHUNK = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)
# A file that is being uploaded is listed late, with the time at which the upload began; and clocks differ.
_MARGIN_SECONDS = 600


class Changed(TransientError):
    """A file became shorter while it was copied."""


@dataclass
class Media:
    """What one store has of the instance, by its id or by its name."""

    name: str  # "files", or "files-by-name"
    kind: str
    items: Callable[[str], Iterator[Item]]  # from a key on
    progress: Progress
    stop: Callable[[], bool]
    with_secrets: bool
    since: float | None = None  # in the second stage: when the first one began, by the store's clock

    table = None
    suffix = "tar"

    def chunks(self) -> Iterator[bytes]:
        """A tar file of the next items."""
        written = 0
        for item, skip in self._left():
            if item is None:
                if written:
                    yield _END
                return
            offset = int(self.progress.at.get("offset", 0)) if self._is_at(item, skip) else 0
            if offset >= item.size_bytes:  # it was replaced by a smaller one
                offset = 0
            try:
                for chunk in _member(item, offset):
                    written += len(chunk)
                    yield chunk
            except Vanished:
                continue
            rest = offset + _LARGEST_MEMBER
            is_whole = rest >= item.size_bytes
            self.progress.items += is_whole
            self.progress.at = {"key": item.key, "skip": skip + is_whole, "offset": 0 if is_whole else rest}
            if written >= _PART_BYTES or not is_whole or self.stop():
                yield _END
                return
        self.progress.is_done = True
        if written:
            yield _END

    def _is_at(self, item: Item, skip: int) -> bool:
        return (item.key, skip) == (self.progress.at.get("key"), self.progress.at.get("skip"))

    def _left(self) -> Iterator[tuple[Item | None, int]]:
        """What is still to be written, each with the number of its key's newer versions; None: stopped on the way."""
        begin, skip = str(self.progress.at.get("key", "")), int(self.progress.at.get("skip", 0))
        previous, number = None, 0
        for item in self.items(begin):
            number = number + 1 if item.key == previous else 0
            previous = item.key
            if item.key == begin and number < skip:
                continue
            if item.is_session and not self.with_secrets:
                self.progress.left_out += 1
                self.progress.at = {"key": item.key, "skip": number + 1}
            elif self.since is not None and item.changed_at < self.since - _MARGIN_SECONDS:
                self.progress.older += 1
                self.progress.at = {"key": item.key, "skip": number + 1}
                if self.stop():
                    yield None, 0
            else:
                yield item, number

    def shrink(self) -> bool:
        """There is nothing to shrink."""
        return False


def _member(item: Item, offset: int) -> Iterator[bytes]:
    """A member of a tar file, with its header and its padding."""
    length = min(item.size_bytes - offset, _LARGEST_MEMBER)
    info = tarfile.TarInfo(_name(item, offset))
    info.size, info.mtime, info.mode = length, int(item.changed_at), 0o600
    if item.link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, item.link
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        return
    with item.read(offset, length) as file:
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        left = length
        while left:
            chunk = file.read(min(left, _CHUNK))
            if not chunk:
                raise Changed("a file became shorter while it was exported")
            left -= len(chunk)
            yield chunk
    yield bytes(-length % _BLOCK)


def _name(item: Item, offset: int) -> str:
    """An older version has its id behind a `~`, and a piece of a large file its number."""
    name = f"{item.key}~{item.version}" if item.version else item.key
    if item.size_bytes <= _LARGEST_MEMBER:
        return name
    pieces = math.ceil(item.size_bytes / _LARGEST_MEMBER)
    return f"{name}.piece-{offset // _LARGEST_MEMBER + 1:04}-of-{pieces:04}"
