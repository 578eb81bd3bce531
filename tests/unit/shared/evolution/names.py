"""Instance names that were chosen to collide."""

NAMES = [
    "a", "a_b", "a*", "a?", "[a]", "b", "x:a", "a:b", "A", "a ", "../a", "a/b", "a//b", "..", "%", "%61", "_",
    "🦊", "n" * 255, "^a", "a-b", "a\\", "[^b]", "[a-z]", "a\\*", "*", "?", "", " ", "a:", ":a", "a:getInbox", "ä",
]  # fmt: skip


def shown(name: str) -> str:
    """A name as a test's id."""
    return ascii(name)[:24]
