"""The file of a bundle: written the same way each time, and read only if it was written so."""

import io
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


def test_a_member_that_is_needed_is_missed() -> None:
    """By its name."""
    with pytest.raises(InvalidBundle, match=r"head\.json is missing"):
        members.unpack(members.pack({name: text for name, text in FILES.items() if name != members.HEAD}))
