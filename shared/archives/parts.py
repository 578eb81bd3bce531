"""Parts of an archive: written once, hashed on the way, and read back from the store."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, cast

import pyrage

from shared.archives.destination import Destination
from shared.errors import TransientError


class Differs(TransientError):
    """The store gave back other bytes than were written."""


@dataclass(frozen=True)
class Part:
    """A file of the archive; its path is relative to the archive."""

    path: str
    stream: str  # "rows", "files", "objects"
    table: str | None
    stage: str  # "first", or "later": what was written while the instance was being deregistered
    items: int  # rows, or files and objects that end in it
    bytes: int
    sha256: str


def write(destination: Destination, path: str, chunks: Iterable[bytes], recipient: str | None) -> tuple[int, str]:
    """Write a file and read it back; returns its bytes and SHA-256. Raises Differs."""
    with destination.write(path) as file:
        hashing = _Hashing(file)
        if recipient is None:
            for chunk in chunks:
                hashing.write(chunk)
        else:
            _encrypt(iter(chunks), hashing, pyrage.x25519.Recipient.from_str(recipient))
    if digest_of(destination.read(path)) != (hashing.length, hashing.hash.hexdigest()):
        destination.remove(path)
        raise Differs(f"the store of the export gave back other bytes than were written to {path.rpartition('/')[2]}")
    return hashing.length, hashing.hash.hexdigest()


def _encrypt(chunks: Iterator[bytes], file: "_Hashing", recipient: pyrage.x25519.Recipient) -> None:
    reader = _Reader(chunks)
    try:
        pyrage.encrypt_io(cast(IO[bytes], reader), cast(IO[bytes], file), [recipient])
    except pyrage.EncryptError:  # which has only the text of what was raised
        raise reader.error or file.error or TransientError("a part of the export could not be encrypted") from None


def digest_of(chunks: Iterable[bytes]) -> tuple[int, str]:
    """Number of bytes, and their SHA-256."""
    length, digest = 0, sha256()
    for chunk in chunks:
        length += len(chunk)
        digest.update(chunk)
    return length, digest.hexdigest()


class _Hashing(io.RawIOBase):
    """Hashes what it hands on, and keeps what that raised."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.length = 0
        self.hash = sha256()
        self.error: BaseException | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        try:
            self._file.write(data)
        except BaseException as error:
            self.error = error
            raise
        self.hash.update(data)
        self.length += len(data)
        return len(data)


class _Reader(io.RawIOBase):
    """Chunks as a file to read from, and what making them raised."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = io.BytesIO()
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            while not (data := self._chunk.read(size)):
                self._chunk = io.BytesIO(next(self._chunks))
        except StopIteration:
            return b""
        except BaseException as error:
            self.error = error
            raise
        return data
