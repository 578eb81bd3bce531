"""One file or object of an instance, as an archive copies it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from shared.errors import LetheError


class Vanished(LetheError):
    """The item was removed since it was listed."""


class Readable(Protocol):
    """Bytes of an item."""

    def read(self, size: int, /) -> bytes:
        """Up to so many bytes; none at the end."""


@dataclass(frozen=True)
class Item:
    """A file, a symbolic link, or a version of an object. read(offset, length) opens a part of it."""

    key: str  # the path below the files root, or the object's key
    size_bytes: int
    changed_at: float  # seconds since 1970, by the clock of the store
    read: Callable[[int, int], AbstractContextManager[Readable]]
    version: str | None = None  # of an object that has a newer version
    link: str | None = None  # what a symbolic link leads to: it is not followed
    is_session: bool = False  # credentials of the WhatsApp session
