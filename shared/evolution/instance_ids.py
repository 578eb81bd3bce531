"""The form of instance ids; Evolution makes no others."""

import re

_NOT_STORABLE = re.compile(r"[\x00\ud800-\udfff]")
UUID_FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID as Evolution writes it."""
    return UUID_FORM.fullmatch(text) is not None


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can store the text. No instance has an id or name that it cannot store."""
    return _NOT_STORABLE.search(text) is None
