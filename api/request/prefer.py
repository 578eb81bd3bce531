"""The Prefer header (RFC 7240): respond-async, or wait=N seconds, or both."""

import re
from dataclasses import dataclass

_WAIT = re.compile(r"wait=(\d{1,6})")
LONGEST_WAIT_SECONDS = 60  # a deploy waits for calls that wait


@dataclass(frozen=True)
class Wish:
    """How long the caller wants to wait, and which preferences that came from."""

    wait_seconds: float
    applied: str | None


def read(header: str | None, default_seconds: float) -> Wish:
    """What the caller prefers; what is not understood is ignored, as the RFC has it."""
    preferences = ["".join(part.split()) for part in (header or "").lower().split(",")]
    waits = [int(match[1]) for match in map(_WAIT.fullmatch, preferences) if match]
    applied = ["respond-async"] if "respond-async" in preferences else []
    if waits:  # with respond-async: up to that long, and then 202
        seconds = min(waits[0], LONGEST_WAIT_SECONDS)
        return Wish(seconds, ", ".join([*applied, f"wait={seconds}"]))
    return Wish(0, applied[0]) if applied else Wish(default_seconds, None)
