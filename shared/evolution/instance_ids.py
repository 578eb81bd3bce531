"""What an instance's id looks like: what has another form was not made by Evolution."""

import re

_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")
UUID_FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_uuid(text: str) -> bool:
    """Whether the text is a uuid, as Evolution writes it."""
    return UUID_FORM.fullmatch(text) is not None


def is_storable(text: str) -> bool:
    """Whether a database can hold it: what none can hold is nobody's id, and nobody's name."""
    return _NO_TEXT.search(text) is None
