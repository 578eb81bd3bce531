"""The topics of an instance in Evolution's Kafka, by their exact names."""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, TopicDescription

from shared.errors import RefusedByServer, RequirementNotMet, Unreachable
from shared.evolution.event_names import DOTTED_FORMS
from shared.evolution.queues.queues import Counts, Removed, possible_names
from shared.evolution.usage import OtherNames
from shared.faults import kafka as faults
from shared.servers.kafka import configuration

_POSSIBLE_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_ALL_INSTANCES = "global"  # stands where an instance's name would, in topics with the events of all
_ANSWER_SECONDS = 5
_DELETION_SECONDS = 10  # that the brokers may take to delete topics
_QUIET = {
    "log_level": "0",  # librdkafka writes to stderr; its errors come to error_cb as well
    "allow.auto.create.topics": "false",
    "socket.connection.setup.timeout.ms": "3000",
}


class Kafka:
    """One cluster, and the topics that begin with Evolution's prefix. Each call makes a client: it has threads."""

    def __init__(self, url: str, prefix: str, ca_file: str | None) -> None:
        self._configuration = {**configuration(url, ca_file), **_QUIET}
        self._prefix = prefix
        self._remedy = (
            f"let the user Describe and Delete topics that begin with `{prefix}.`, and set delete.topic.enable"
        )

    def probe(self) -> None:
        """Raise Unreachable when no broker answers, Refused when they reject the user."""
        with self._client() as client:
            _describe(client, [f"{self._prefix}.lethe-probe"])

    def rehearse(self, name: str) -> None:
        """Delete a topic that does not exist, and ask for the rights on those of the name that do."""
        missing = f"lethe-rehearsal-{uuid4()}"
        of_name = f"{self._prefix}.{name}.{missing}"
        with self._client() as client:
            found = _describe(client, self._topics(name), with_rights=True)
        try:
            with self._client() as client:
                _delete(client, [of_name if _POSSIBLE_TOPIC.fullmatch(of_name) else f"{self._prefix}.{missing}"])
        except RefusedByServer as error:
            problem = f"Kafka does not let Lethe's user delete topics ({error.title})"
            raise RequirementNotMet(problem, self._remedy, "queues") from error
        for topic in found.values():
            rights = topic.authorized_operations  # None where the brokers do not tell
            if rights is not None and not {AclOperation.DELETE, AclOperation.ALL} & set(rights):
                problem = "Kafka does not let Lethe's user delete the topics of the name"
                raise RequirementNotMet(problem, self._remedy, "queues")

    def count_named(self, name: str, other_names: OtherNames) -> Counts:
        """The number of topics that belong to this instance name and to no other."""
        with self._client() as client:
            return {"topics": len(self._find(client, name, other_names)[0])}

    def remove_named(self, name: str, other_names: OtherNames) -> Removed:
        """Remove the topics that count_named() counts, with their messages. Returns also how many were kept."""
        with self._client() as client:
            mine, kept = self._find(client, name, other_names)
            return Removed({"topics": _delete(client, mine) if mine else 0}, kept)

    def _find(self, client: AdminClient, name: str, other_names: OtherNames) -> tuple[list[str], int]:
        """Topics that belong to this name alone, and how many others may belong to another name."""
        found = list(_describe(client, self._topics(name)))
        others = {*other_names(), _ALL_INSTANCES} if found else set[str]()
        mine = [topic for topic in found if not others & set(self._possible_names(topic))]
        return mine, len(found) - len(mine)

    def _topics(self, name: str) -> list[str]:
        """What the server can have called its topics; none for a name that Kafka does not take."""
        topics = (f"{self._prefix}.{name}.{form}" for form in sorted(DOTTED_FORMS)) if name else ()
        return [topic for topic in topics if _POSSIBLE_TOPIC.fullmatch(topic)]

    def _possible_names(self, topic: str) -> Iterator[str]:
        return possible_names(topic.removeprefix(f"{self._prefix}."), ".", DOTTED_FORMS)

    @contextmanager
    def _client(self) -> Iterator[AdminClient]:
        """A client that says of an error why no broker could be used."""
        before: list[KafkaError] = []
        given: dict[str, Any] = {**self._configuration, "error_cb": before.append}
        try:
            client = AdminClient(given)
        except KafkaException as error:  # a certificate that cannot be read
            raise faults.explain("Kafka", error.args[0]) from error
        try:
            yield client
        except KafkaException as error:
            client.poll(0)  # hands over what error_cb has not had yet
            raise faults.explain("Kafka", error.args[0], before) from error
        except TookTooLong as error:
            raise Unreachable("Kafka", "no answer in time") from error


def _describe(client: AdminClient, topics: list[str], *, with_rights: bool = False) -> Mapping[str, TopicDescription]:
    """Those of the topics that exist. Asking creates none."""
    if not topics:
        return {}
    asked = client.describe_topics(
        TopicCollection(topics), include_authorized_operations=with_rights, request_timeout=_ANSWER_SECONDS
    )
    return _existing(asked, _ANSWER_SECONDS)


def _delete(client: AdminClient, topics: list[str]) -> int:
    """Delete the topics; returns how many there were."""
    seconds = _DELETION_SECONDS + _ANSWER_SECONDS
    return len(
        _existing(client.delete_topics(topics, operation_timeout=_DELETION_SECONDS, request_timeout=seconds), seconds)
    )


def _existing(answers: Mapping[str, "Future[Any]"], seconds: float) -> dict[str, Any]:
    """The answers, by topic, but for topics that do not exist."""
    results = dict[str, Any]()
    for topic, answer in answers.items():
        try:
            results[topic] = answer.result(seconds + 1)  # its own timeout comes first, with an error that says why
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
    return results
