"""The file of a bundle: which members it may have, how it is written, and how a file of unknown origin is read."""

import io
import re
from collections.abc import Mapping
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from shared.errors import LetheError

CONTENTS, PAGE, RECEIPT, ATTESTATION, KEYS = (
    "contents.json",
    "index.html",
    "receipt.json",
    "attestation.json",
    "keys.json",
)
HEAD, STAMPED_HEAD, AUTHORITY = "head.json", "head.stamped.json", "authority.pem"
NEEDED = frozenset({CONTENTS, PAGE, RECEIPT, KEYS, HEAD})
LARGEST_FILE = 32 * 1024 * 1024  # bytes
_MOST_MEMBERS = 20_000
_ALLOWED = re.compile(
    r"contents\.json|index\.html|keys\.json|authority\.pem|keys/[A-Za-z0-9_-]{43}\.pem"
    r"|(receipt|attestation)\.(json|tsr)|head\.json|head\.stamped\.(json|tsr)"
    r"|lines/[0-9]{8,18}\.(json|path|stamped\.path)"
)
_NO_TIME = (1980, 1, 1, 0, 0, 0)


class InvalidBundle(LetheError):
    """The file is no bundle as Lethe writes it."""


def stamp_of(name: str) -> str:
    """The member with the time stamp of a document."""
    return name.removesuffix("json") + "tsr"


def line(seq: int) -> str:
    """The member with a line of the audit."""
    return f"lines/{seq:08}.json"


def path(line_name: str, head: str) -> str:
    """The member with the hashes that lead from a line to a head."""
    return line_name.removesuffix("json") + ("path" if head == HEAD else "stamped.path")


def pem(key_id: str) -> str:
    """The member with a public key."""
    return f"keys/{key_id}.pem"


def pack(members: Mapping[str, bytes]) -> bytes:
    """The file: not compressed, without times, in the order of the names. The same members make the same bytes."""
    made = io.BytesIO()
    with ZipFile(made, "w", ZIP_STORED) as file:
        for name in sorted(members):
            member = ZipInfo(name, _NO_TIME)
            member.create_system, member.external_attr = 3, 0o644 << 16
            file.writestr(member, members[name])
    return made.getvalue()


def unpack(content: bytes) -> dict[str, bytes]:
    """The members; raises InvalidBundle for every file that pack() would not write, byte for byte."""
    if len(content) > LARGEST_FILE:
        raise InvalidBundle(f"it has more than {LARGEST_FILE:,} bytes")
    try:
        with ZipFile(io.BytesIO(content)) as file:
            members = _read(file)
    except (BadZipFile, EOFError, ValueError, OSError, NotImplementedError, RuntimeError, OverflowError) as error:
        raise InvalidBundle("it is no zip file, or was changed") from error
    if missing := sorted(NEEDED - members.keys()):
        raise InvalidBundle(f"{missing[0]} is missing")
    if pack(members) != content:
        raise InvalidBundle("it is not the file that Lethe wrote: it was changed, or packed again")
    return members


def _read(file: ZipFile) -> dict[str, bytes]:
    found = file.infolist()
    names = [each.filename for each in found]
    if len(names) > _MOST_MEMBERS or len(set(names)) != len(names):
        raise InvalidBundle("it has too many members, or one of them twice")
    if odd := next((name for name in names if not _ALLOWED.fullmatch(name)), None):
        raise InvalidBundle(f"it has a member that no bundle has: {odd!r}")
    if any(each.compress_type != ZIP_STORED or each.flag_bits & 1 for each in found):
        raise InvalidBundle("it is packed in another way than Lethe does")
    if sum(each.file_size for each in found) > LARGEST_FILE:
        raise InvalidBundle(f"its members have more than {LARGEST_FILE:,} bytes")
    return {each.filename: file.read(each) for each in found}
