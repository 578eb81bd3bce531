"""The Prefer header (RFC 7240): respond-async, or wait=N seconds."""

import re
from dataclasses import dataclass

_WAIT = re.compile(r"wait=(\d{1,6})")
LONGEST_WAIT_SECONDS = 300


@dataclass(frozen=True)
class Wish:
    """How long the caller wants to wait, and which preference that came from."""

    wait_seconds: float
    applied: str | None


def read(header: str | None, default_seconds: float) -> Wish:
    """What the caller prefers; what is not understood is ignored, as the RFC has it."""
    for preference in (part.strip() for part in (header or "").lower().split(",")):
        if preference == "respond-async":
            return Wish(0, preference)
        if match := _WAIT.fullmatch(preference.replace(" ", "")):
            seconds = min(int(match[1]), LONGEST_WAIT_SECONDS)
            return Wish(seconds, f"wait={seconds}")
    return Wish(default_seconds, None)
