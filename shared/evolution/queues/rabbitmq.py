"""The exchange and the queues of an instance in Evolution's RabbitMQ, by their exact names."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from amqp import Channel
from amqp.exceptions import AccessRefused, AMQPError, NotFound, PreconditionFailed
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from shared import certificates
from shared.errors import RequirementNotMet
from shared.evolution.event_names import DOTTED_FORMS
from shared.evolution.queues.queues import Counts, Removed, possible_names
from shared.evolution.usage import OtherNames
from shared.faults import rabbitmq as faults

_MAX_NAME_BYTES = 255  # of a queue or an exchange
_KIND = "topic"  # of the exchanges that Evolution declares
_IMPOSSIBLE = {"alternate-exchange": 0}  # RabbitMQ accepts only a name here
_ALL_BUT_THE_IMPOSSIBLE = "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange'"  # in RabbitMQ's words
_TIMEOUTS = {"read_timeout": 10, "write_timeout": 10}


class RabbitMQ:
    """One virtual host. Each call opens a connection, for a deletion needs it once."""

    def __init__(self, url: str, shared_names: frozenset[str], ca_file: Path | None = None) -> None:
        self._url = url
        self._tls = certificates.for_rabbitmq(url, ca_file)
        self._shared_names = shared_names

    def probe(self) -> None:
        """Raise Unreachable when RabbitMQ does not answer, Refused when it rejects the user."""
        with self._connected():
            pass

    def rehearse(self, name: str) -> None:
        """Delete a queue and an exchange of such a name that do not exist: the server looks at the right first."""
        missing = f"{name}.lethe-rehearsal-{uuid4()}"
        if not _is_possible_name(missing):
            missing = missing[-len("lethe-rehearsal-") - 36 :]
        with self._connected() as connection:
            tried: list[tuple[str, Callable[[], object]]] = [
                ("exchanges", lambda: connection.default_channel.exchange_delete(missing)),
                ("queues", lambda: connection.default_channel.queue_delete(missing)),
            ]
            if (
                _is_possible_name(name) and name not in self._shared_names
            ):  # a pattern of the user's may allow the one above, and not this one
                tried.append(("exchanges", lambda: _is_a_topic(connection, name)))
            for what, attempt in tried:
                try:
                    attempt()
                except AccessRefused as error:
                    said = faults.explain("RabbitMQ", error).title
                    problem = f"RabbitMQ does not let Lethe's user delete {what} of the name ({said})"
                    raise RequirementNotMet(problem, "give the user `configure` on them", "queues") from error

    def count_named(self, name: str, other_names: OtherNames) -> Counts:
        """The number of queues and exchanges of the name."""
        with self._connected() as connection:
            queues, exchanges, _ = self._find(connection, name, other_names)
        return {"queues": len(queues), "exchanges": len(exchanges)}

    def remove_named(self, name: str, other_names: OtherNames) -> Removed:
        """Remove the exchange, so that nothing more is routed, then the queues with their messages."""
        with self._connected() as connection:
            queues, exchanges, kept = self._find(connection, name, other_names)
            for exchange in exchanges:
                connection.default_channel.exchange_delete(exchange)
            for queue in queues:
                connection.default_channel.queue_delete(queue)
        return Removed({"queues": len(queues), "exchanges": len(exchanges)}, kept)

    def _find(self, connection: Connection, name: str, other_names: OtherNames) -> tuple[list[str], list[str], int]:
        """Queues and exchanges that belong to this name alone, and how many others may belong to another name."""
        found = [queue for queue in sorted(_queues_of(name)) if _exists(connection, Channel.queue_declare, queue)]
        others = {*other_names(), *self._shared_names} if found else set[str]()
        mine = [queue for queue in found if not others & set(possible_names(queue, ".", DOTTED_FORMS))]
        exchanges, foreign = self._exchange(connection, name)
        return mine, exchanges, len(found) - len(mine) + foreign

    def _exchange(self, connection: Connection, name: str) -> tuple[list[str], int]:
        if not _is_possible_name(name) or not _exists(connection, Channel.exchange_declare, name, _KIND):
            return [], 0
        if name in self._shared_names or not _is_a_topic(connection, name):
            return [], 1  # shared by all instances, or not of Evolution
        return [name], 0

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with Connection(
            self._url, connect_timeout=3, heartbeat=0, transport_options=_TIMEOUTS, ssl=self._tls or False
        ) as connection:
            try:
                connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=3)
                yield connection
            except (AMQPError, OperationalError, OSError) as error:
                raise faults.explain("RabbitMQ", error) from error


def _is_possible_name(name: str) -> bool:
    """Whether RabbitMQ keeps the name as it is. It drops line breaks: `a\\n` would become another instance's `a`."""
    is_unchanged = not set("\r\n") & set(name) and len(name.encode()) <= _MAX_NAME_BYTES
    return is_unchanged and bool(name) and not name.startswith("amq.")  # these are RabbitMQ's own


def _queues_of(name: str) -> set[str]:
    return {queue for form in DOTTED_FORMS if _is_possible_name(queue := f"{name}.{form}")} if name else set()


def _exists(connection: Connection, declare: Callable[..., object], *arguments: str) -> bool:
    """Whether a passive declaration finds it. RabbitMQ closes the channel when it does not, so each call opens one."""
    channel = connection.channel()
    try:
        declare(channel, *arguments, passive=True)
    except NotFound as error:
        if faults.is_missing(error):
            return False
        raise
    channel.close()
    return True


def _is_a_topic(connection: Connection, name: str) -> bool:
    """Whether the exchange is a topic exchange, as Evolution declares them. One of another kind is not Evolution's.

    A passive declaration does not compare the kind. This one always fails, so that it never creates an exchange that
    was removed meanwhile: RabbitMQ compares the kind first, and then an argument that no exchange can have.
    """
    channel = connection.channel()
    try:
        channel.exchange_declare(name, _KIND, durable=True, auto_delete=False, arguments=_IMPOSSIBLE)
    except PreconditionFailed as refusal:
        return (refusal.reply_text or "").startswith(_ALL_BUT_THE_IMPOSSIBLE)
    channel.close()
    return False
