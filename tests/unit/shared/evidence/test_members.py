"""The file of a bundle: written the same way each time, and read only if it was written so."""

import io
import struct
import zipfile

import pytest

from shared.evidence import members
from shared.evidence.members import InvalidBundle

FILES = {name: name.encode() for name in members.NEEDED} | {"lines/00000007.json": b"{}", "lines/00000007.path": b""}


def test_what_was_packed_is_read() -> None:
    """The same members make the same bytes, whatever their order."""
    packed = members.pack(FILES)

    assert members.unpack(packed) == FILES
    assert members.pack(dict(reversed(FILES.items()))) == packed


@pytest.mark.parametrize(
    "name",
    ["../receipt.json", "/receipt.json", "lines/../receipt.json", "lines/7.json", "receipt.json/", "Receipt.json",
     "keys/../../.ssh/x.pem", "lines/00000007.json\n", "notes.txt", "receipt.html"],
)  # fmt: skip
def test_a_name_that_no_bundle_has_is_refused(name: str) -> None:
    """Also one that differs by a newline, and one that leads elsewhere."""
    with pytest.raises(InvalidBundle, match="a member that no bundle has"):
        members.unpack(members.pack(FILES | {name: b""}))


def test_a_file_of_another_program_is_refused() -> None:
    """With the same members, packed with another time."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name in sorted(FILES):
            file.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), FILES[name])

    with pytest.raises(InvalidBundle, match="packed again"):
        members.unpack(made.getvalue())


def test_an_offset_that_no_file_has_is_refused() -> None:
    """A directory in the large form of zip files, which has eight bytes for the place of a member."""
    packed = members.pack(FILES)
    start, end = packed.index(b"PK\x01\x02"), packed.index(b"PK\x05\x06")
    entry, extra = bytearray(packed[start:end]), struct.pack("<HHQ", 1, 8, 2**64 - 1)
    name_ends = 46 + int.from_bytes(entry[28:30], "little")
    entry[30:32], entry[42:46], entry[name_ends:name_ends] = struct.pack("<H", len(extra)), b"\xff" * 4, extra
    closing = bytearray(packed[end:])
    closing[12:16] = struct.pack("<I", len(entry))

    with pytest.raises(InvalidBundle, match="no zip file"):
        members.unpack(packed[:start] + entry + closing)


def test_a_member_that_is_needed_is_missed() -> None:
    """By its name."""
    with pytest.raises(InvalidBundle, match=r"head\.json is missing"):
        members.unpack(members.pack({name: text for name, text in FILES.items() if name != members.HEAD}))
