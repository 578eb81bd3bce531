"""Text as files and shells hand it over: with quotes, line ends, a byte order mark, or in UTF-16."""

import codecs
import errno
from pathlib import Path

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_QUOTES = "'\""


def unquoted(value: str) -> str:
    """The value without the quotes around it and without a line end; `docker run --env-file` leaves both there."""
    value = value.rstrip("\r\n")
    bare = value.strip()
    return bare[1:-1] if len(bare) > 1 and bare[0] in _QUOTES and bare[0] == bare[-1] else value


def read(path: Path, *, keep_mark: bool = False) -> str:
    """The text of a file in UTF-8 or UTF-16; raises OSError, also for other encodings.

    keep_mark leaves UTF-8's byte order mark in the text.
    """
    raw = path.read_bytes()
    try:
        text = raw.decode(_encoding(raw, keep_mark=keep_mark))
    except UnicodeDecodeError:
        raise OSError(errno.EILSEQ, "it is neither UTF-8 nor UTF-16", str(path)) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _encoding(raw: bytes, *, keep_mark: bool) -> str:
    if raw.startswith(_UTF_16):
        return "utf-16"
    if b"\0" in raw[:4]:  # no setting has this character: UTF-16 without a mark
        return "utf-16-be" if raw[0] == 0 else "utf-16-le"
    return "utf-8" if keep_mark else "utf-8-sig"
