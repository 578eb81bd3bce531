"""The interface of message brokers with queues of instances: RabbitMQ (rabbitmq), Amazon SQS (sqs) or Kafka (kafka)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from shared.evolution.usage import OtherNames

Counts = dict[str, int]


@dataclass(frozen=True)
class Removed:
    """What was removed, by kind, and how many were kept because they may belong to others."""

    counts: Counts
    kept: int


class Queues(Protocol):
    """A message broker of Evolution. A queue is removed with its messages. Removing twice is harmless."""

    def probe(self) -> None:
        """Raise Unreachable or Refused when the broker cannot be used."""

    def rehearse(self, name: str) -> None:
        """Try all that removing what is kept by this name will use, and change nothing; raises Refused."""

    def count_named(self, name: str, other_names: OtherNames) -> Counts:
        """What belongs to this name, and to no other existing instance."""

    def remove_named(self, name: str, other_names: OtherNames) -> Removed:
        """Remove what count_named() counts. Call it while the name is reserved."""


def possible_names(queue: str, separator: str, forms: Iterable[str]) -> Iterator[str]:
    """Every instance name that a queue <name><separator><event> may belong to."""
    for form in forms:
        if queue.endswith(ending := f"{separator}{form}"):
            yield queue.removesuffix(ending)
