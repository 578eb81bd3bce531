"""Kafka's errors become Lethe's, with the words of the one that says why."""

import pytest
from confluent_kafka import KafkaError

from shared.errors import LetheError, RefusedByServer, RefusesForNow, TransientError, Unreachable
from shared.faults import broker_rules
from shared.faults.kafka import explain
from shared.faults.kinds import Server

LOGIN = "sasl_ssl://h:9092/bootstrap: SASL authentication error: wrong (after 30ms in state AUTH_REQ)"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._TIMED_OUT, Unreachable),
        (KafkaError.NOT_CONTROLLER, RefusesForNow),
        (KafkaError.REQUEST_TIMED_OUT, RefusesForNow),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, RefusedByServer),
        (KafkaError.TOPIC_DELETION_DISABLED, RefusedByServer),
        (KafkaError.UNSUPPORTED_VERSION, RefusedByServer),
        (KafkaError.UNKNOWN, TransientError),
    ],
)
def test_an_error_says_what_a_deletion_does(code: int, kind: type[LetheError]) -> None:
    """It waits, is tried again, or fails."""
    assert type(explain("Kafka", KafkaError(code))) is kind


def test_why_no_broker_could_be_used_is_said() -> None:
    """librdkafka says it before, and then only that the time was over; where its brokers are is not repeated."""
    before = [KafkaError(KafkaError._ALL_BROKERS_DOWN, "down"), KafkaError(KafkaError._AUTHENTICATION, LOGIN)]

    found = explain("Kafka", KafkaError(KafkaError._TIMED_OUT, "Timed out"), before)

    assert found.title == "Kafka refused: SASL authentication error: wrong (Kafka _AUTHENTICATION)"


def test_an_error_of_a_topic_is_told_before_one_of_a_connection() -> None:
    """Another broker's connection may have failed, and was replaced."""
    before = [KafkaError(KafkaError._TRANSPORT, "one broker of three is away")]

    found = explain("Kafka", KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), before)

    assert found.title.endswith("(Kafka TOPIC_AUTHORIZATION_FAILED)")


def test_the_table_has_the_names_that_librdkafka_gives() -> None:
    """A misspelt one would mean anything else."""
    codes = [code for rule in broker_rules.RULES if rule.server is Server.KAFKA for code in rule.codes if code]

    assert [KafkaError(getattr(KafkaError, code)).name() for code in codes] == codes
