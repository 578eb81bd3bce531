"""Redis's own pattern matching (stringmatchlen in its util.c), for tests without a Redis."""


def matches(pattern: bytes, text: bytes) -> bool:
    """Whether Redis's MATCH would let the text through."""
    if not pattern:
        return not text
    first, rest = pattern[:1], pattern[1:]
    if first == b"*":
        return any(matches(rest, text[at:]) for at in range(len(text) + 1))
    if not text:
        return False
    if first == b"?":
        return matches(rest, text[1:])
    if first == b"[":
        inside, after = _class(rest, text[0])
        return inside and matches(after, text[1:])
    if first == b"\\" and rest:
        first, rest = rest[:1], rest[1:]
    return first == text[:1] and matches(rest, text[1:])


def _class(pattern: bytes, byte: int) -> tuple[bool, bytes]:
    """Whether a class such as [^a-c] holds the byte, and what follows it."""
    negated = pattern[:1] == b"^"
    pattern = pattern[negated:]
    found = False
    while pattern and pattern[:1] != b"]":
        if pattern[:1] == b"\\" and len(pattern) > 1:
            found |= pattern[1] == byte
            pattern = pattern[2:]
        elif pattern[1:2] == b"-" and len(pattern) > 2:
            low, high = sorted((pattern[0], pattern[2]))
            found |= low <= byte <= high
            pattern = pattern[3:]
        else:
            found |= pattern[0] == byte
            pattern = pattern[1:]
    return found != negated, pattern[1:]
