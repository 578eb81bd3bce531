"""Files and objects of an archive: parts that can be continued at each place, and what is left out."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest

from shared.archives import media
from shared.archives.media import Changed, Media
from shared.archives.streams import Progress
from shared.evolution.media.items import Item, Readable, Vanished

Files = dict[str, list[bytes]]  # by key, the newest version first


def item(key: str, data: bytes, version: str | None = None, changed_at: float = 1_000) -> Item:
    """An item of these bytes."""

    def read(offset: int, length: int) -> AbstractContextManager[Readable]:
        return nullcontext(io.BytesIO(data[offset : offset + length]))

    return Item(key, len(data), changed_at, read, version, is_session=key.endswith(".json"))


def items_of(files: Files, begin: str) -> Iterator[Item]:
    """In the order of keys, from one on."""
    for key, versions in sorted(files.items()):
        if key >= begin:
            for number, data in enumerate(versions):
                yield item(key, data, f"v{number}" if number else None)


def write_all(
    files: Files, *, with_secrets: bool = True, since: float | None = None
) -> tuple[dict[str, bytes], Progress]:
    """All members, each part by a stream that knows only where the one before has ended."""
    members: dict[str, bytes] = {}
    progress = Progress()
    while not progress.is_done:
        stream = Media("objects", "objects", lambda begin: items_of(files, begin), progress, lambda: True, with_secrets,
                       since)  # fmt: skip
        if part := b"".join(stream.chunks()):
            with tarfile.open(fileobj=io.BytesIO(part)) as tar:
                members |= {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]
        progress = stream.progress
    return members, progress


def test_each_part_goes_on_where_the_last_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """With versions of one key, and with pieces of a large file."""
    monkeypatch.setattr(media, "_LARGEST_MEMBER", 1_000)
    large = bytes(range(250)) * 10
    files = {"a": [b"1"], "b": [b"new", b"old", b"older"], "c/d": [large], "e": [b""]}

    members, progress = write_all(files)

    pieces = [members.pop(f"c/d.piece-000{n}-of-0003") for n in (1, 2, 3)]
    assert b"".join(pieces) == large
    assert members == {"a": b"1", "b": b"new", "b~v1": b"old", "b~v2": b"older", "e": b""}
    assert progress.items == 6


def test_session_files_are_left_out_and_counted() -> None:
    """Unless credentials are asked for."""
    files = {"creds.json": [b"secret"], "media.jpg": [b"1"], "pre-key-1.json": [b"secret"]}

    members, progress = write_all(files, with_secrets=False)

    assert (members, progress.items, progress.left_out) == ({"media.jpg": b"1"}, 1, 2)


def test_the_second_stage_takes_what_is_new() -> None:
    """And what was changed so short a time before the first one that its list may not have had it."""
    files = {"old": [b"1"], "older": [b"2"]}

    assert write_all(files, since=1_000 + 601)[1].older == 2
    assert write_all(files, since=1_000 + 599)[1].items == 2


def test_a_file_that_vanishes_is_passed_by_and_one_that_shrinks_is_tried_again() -> None:
    """The first is not counted; the second throws its part away."""

    def gone(offset: int, length: int) -> AbstractContextManager[Readable]:
        raise Vanished

    def stream(*found: Item) -> Media:
        return Media("files", "files", lambda begin: iter(found), Progress(), lambda: False, True)

    there = stream(Item("gone", 5, 0, gone), item("there", b"1"))
    assert len(b"".join(there.chunks())) > 0
    assert there.progress.items == 1
    shorter = stream(Item("short", 5, 0, lambda offset, length: nullcontext(io.BytesIO(b"1"))))
    with pytest.raises(Changed):
        list(shorter.chunks())


def test_a_large_file_that_became_small_between_two_parts_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first piece was written already."""
    monkeypatch.setattr(media, "_LARGEST_MEMBER", 1_000)
    progress = Progress(at={"key": "a", "skip": 0, "offset": 1_000})
    stream = Media("files", "files", lambda begin: items_of({"a": [b"small"]}, begin), progress, lambda: False, True)

    part = b"".join(stream.chunks())

    with tarfile.open(fileobj=io.BytesIO(part)) as tar:
        assert [(each.name, tar.extractfile(each).read()) for each in tar] == [("a", b"small")]  # type: ignore[union-attr]
