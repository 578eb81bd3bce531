"""Queues that Evolution named after an instance; two kinds: RabbitMQ (rabbitmq) and SQS (sqs)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from shared.evolution.usage import Neighbours

Counts = dict[str, int]


@dataclass(frozen=True)
class Taken:
    """What went, by kind, and how many stay because they are not this instance's alone."""

    counts: Counts
    kept: int


class Queues(Protocol):
    """A message broker of Evolution's. Removing twice is harmless; what is in a queue goes with it."""

    def probe(self) -> None:
        """Raise Unreachable or Refused when it cannot be worked on."""

    def rehearse(self, name: str) -> None:
        """Try all that removing what is kept by this name will use, and change nothing; raises Refused."""

    def count_named(self, name: str, neighbours: Neighbours) -> Counts:
        """What is kept by this name, and by no other living one."""

    def remove_named(self, name: str, neighbours: Neighbours) -> Taken:
        """Remove what is kept by this name; to be called while the name is reserved."""


def names_explaining(queue: str, separator: str, forms: Iterable[str]) -> Iterator[str]:
    """Every name whose queue <name><separator><event> this could be."""
    for form in forms:
        if queue.endswith(ending := f"{separator}{form}"):
            yield queue.removesuffix(ending)
