"""What an instance's id looks like: what has another form was not made by Evolution."""

import re

FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_one(text: str) -> bool:
    """Whether the text is a uuid, as Evolution writes it."""
    return FORM.fullmatch(text) is not None
