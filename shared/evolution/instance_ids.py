"""What an instance's id looks like: what has another form was not made by Evolution."""

import re

_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")
FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_one(text: str) -> bool:
    """Whether the text is a uuid, as Evolution writes it."""
    return FORM.fullmatch(text) is not None


def is_text(text: str) -> bool:
    """Whether a database can hold it: what none can hold is nobody's id, and nobody's name."""
    return _NO_TEXT.search(text) is None
