"""The interface of media stores: a local folder (local_folder) or an S3 bucket (s3_bucket)."""

import re
from collections.abc import Callable, Iterator
from typing import Protocol
from uuid import UUID

from shared.errors import Refused
from shared.evolution.event_names import EVENT_FORMS
from shared.evolution.media.items import Item
from shared.evolution.usage import OtherNames, Usage

# Evolution stores large SQS payloads as <name>_<event>_<ms>.json, with any spelling of the event.
_PAYLOAD = re.compile(r"(?P<head>.+)_(?P<ms>\d+)\.json", re.DOTALL)

COUNT_SECONDS = 5  # time limit of a count; after it, the count is "at least"


class NotMounted(Refused):
    """What is there looks like the mount point of a volume that is away."""


def never() -> bool:
    """The stop() of an erasure that goes on to its end."""
    return False


class Storage(Protocol):
    """A store of media. Erasing twice is harmless."""

    kind: str  # what it counts: "files" or "objects"

    @property
    def reach(self) -> str | None:
        """What it sees of each item, for the receipt; None: there is nothing but the item."""

    def probe(self) -> None:
        """Raise Unreachable or Refused when the store cannot be used."""

    def rehearse(self, instance_id: str, name: str, other_names: OtherNames) -> None:
        """Try all that erasing this instance's media will use, and change nothing; raises Refused or Unreachable."""

    def count(self, instance_id: str) -> int:
        """The number of files or objects under the instance's id; after COUNT_SECONDS, at least so many."""

    def erase(self, instance_id: str, deletion_id: UUID, stop: Callable[[], bool] = never) -> Iterator[int]:
        """Remove everything under the instance's id, and the deletion's trash; yields numbers of removed items.

        Go on to its end, for what is removed is counted there: it asks stop() after each number, and ends soon.
        """

    def items(self, instance_id: str, begin: str = "") -> Iterator[Item]:
        """What erase() removes and can be copied, in the order of keys, from the key `begin` on."""

    def named_items(self, name: str, other_names: OtherNames, begin: str = "") -> Iterator[Item]:
        """What remove_named() removes and can be copied, likewise."""

    def clock(self) -> float:
        """Seconds since 1970 on the clock by which items are changed."""

    def uncovered(self, instance_id: str, name: str, other_names: OtherNames) -> list[str]:
        """What erasing does not reach although it may be the instance's, in sentences."""

    def ids(self) -> set[str]:
        """All instance ids under which the store has something."""

    def measure(self, instance_id: str) -> Usage:
        """How much the store has under the id, without a time limit."""

    def count_named(self, name: str, other_names: OtherNames) -> int:
        """The number of files or objects that belong to this name, and to no other existing instance."""

    def find_named(self, other_names: OtherNames) -> dict[str, Usage]:
        """What is stored under names that no existing instance has, by name."""

    def remove_named(self, name: str, deletion_id: UUID, other_names: OtherNames) -> tuple[int, list[str]]:
        """Remove what count_named() counts, or move it to the trash. Returns the number, and what others share."""


def names_of_payload(file_name: str) -> set[str]:
    """Every instance name that this file of a large SQS payload may belong to."""
    match = _PAYLOAD.fullmatch(file_name)
    if not match:
        return set()
    head = match["head"]
    return {head[: -len(event) - 1] for event in EVENT_FORMS if head.endswith(f"_{event}")}
