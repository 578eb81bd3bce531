"""Where an instance's media lie; two kinds: a local folder (local_folder) and S3 (s3_bucket)."""

import re
from collections.abc import Iterator
from typing import Protocol
from uuid import UUID

from shared.evolution.event_names import EVENT_FORMS
from shared.evolution.usage import Neighbours, Usage

# SQS payloads that were too large are kept as <name>_<event>_<ms>.json; the event may be written either way.
_PAYLOAD = re.compile(r"(?P<head>.+)_(?P<ms>\d+)\.json", re.DOTALL)

COUNT_SECONDS = 5  # a preview is no reason to keep a store busy


class Storage(Protocol):
    """A place for media. Erasing twice is harmless."""

    unit: str  # what it counts: "files" or "objects"

    def probe(self) -> None:
        """Raise Unreachable or Refused when it cannot be worked on."""

    def rehearse(self, instance_id: str, name: str, neighbours: Neighbours) -> None:
        """Try all that erasing this instance's media will use, and change nothing; raises Refused or Unreachable."""

    def count(self, instance_id: str) -> int:
        """How many files or objects the instance has, by its id; at least, where counting takes long."""

    def erase(self, instance_id: str, deletion_id: UUID) -> Iterator[int]:
        """Remove everything under the instance's id and the deletion's trash; yields how many went at a time."""

    def ids(self) -> set[str]:
        """All ids under which it holds something; what has not the form of an id is nobody's."""

    def measure(self, instance_id: str) -> Usage:
        """How much it holds under the id, all of it counted."""

    def count_named(self, name: str, neighbours: Neighbours) -> int:
        """How many files or objects are kept by this name, and by no other living one."""

    def find_named(self, neighbours: Neighbours) -> dict[str, Usage]:
        """What is kept by the names of nobody: all that are none of these names', and that none of them explains."""

    def remove_named(self, name: str, deletion_id: UUID, neighbours: Neighbours) -> tuple[int, list[str]]:
        """Remove (or put into the trash) what is kept by name; returns how many, and what others share."""


def names_of_payload(file_name: str) -> set[str]:
    """Every name whose oversize SQS payload this could be."""
    match = _PAYLOAD.fullmatch(file_name)
    if not match:
        return set()
    head = match["head"]
    return {head[: -len(event) - 1] for event in EVENT_FORMS if head.endswith(f"_{event}")}
