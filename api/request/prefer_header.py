"""The Prefer header (RFC 7240): respond-async, or wait=N seconds, or both."""

import re
from dataclasses import dataclass

_WAIT = re.compile(r"wait=(\d{1,6})")
LONGEST_WAIT_SECONDS = 60  # a deploy has to wait for waiting requests


@dataclass(frozen=True)
class WaitPreference:
    """How long the caller wants to wait, and the preferences that were applied."""

    wait_seconds: float
    applied: str | None


def parse(header: str | None, default_seconds: float) -> WaitPreference:
    """Parse the header; unknown preferences are ignored, as the RFC says."""
    preferences = ["".join(part.split()) for part in (header or "").lower().split(",")]
    waits = [int(match[1]) for match in map(_WAIT.fullmatch, preferences) if match]
    applied = ["respond-async"] if "respond-async" in preferences else []
    if waits:  # with respond-async: up to that long, and then 202
        seconds = min(waits[0], LONGEST_WAIT_SECONDS)
        return WaitPreference(seconds, ", ".join([*applied, f"wait={seconds}"]))
    return WaitPreference(0, applied[0]) if applied else WaitPreference(default_seconds, None)
