"""Kafka's errors, and those of its client librdkafka: their name and words; never the name of a topic."""

import re
from collections.abc import Sequence

from confluent_kafka import KafkaError

from shared.errors import LetheError
from shared.faults.kinds import Server
from shared.faults.sentences import translated

_CONNECTION = re.compile(r"^\S+://\S+/\w+: |^\S+:\d+/\w+: | \(after \d+ms in state \w+\)$")
# What an operation ends with when no broker could be used; the reason is in an error that came before it.
_NO_BROKER = {KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}
_REASONS = (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError._RESOLVE, KafkaError._TRANSPORT)


def explain(what: str, error: KafkaError, before: Sequence[KafkaError] = ()) -> LetheError:
    """The error of Lethe's that this one is; `before` has those of the connections to the brokers."""
    found = _reason(before) or error if error.code() in _NO_BROKER else error
    return translated(what, Server.KAFKA, found.name(), _CONNECTION.sub("", found.str()))


def _reason(before: Sequence[KafkaError]) -> KafkaError | None:
    for code in _REASONS:
        if found := next((each for each in before if each.code() == code), None):
            return found
    return None
