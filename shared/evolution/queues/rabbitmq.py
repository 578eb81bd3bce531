"""The exchange and the queues of an instance in Evolution's RabbitMQ: exact names only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

from amqp import Channel
from amqp.exceptions import AccessRefused, AMQPError, NotAllowed, NotFound, PreconditionFailed
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from shared.errors import Refused, RequirementNotMet, TransientError, Unreachable
from shared.evolution.event_names import DOTTED_FORMS
from shared.evolution.queues.queues import Counts, Taken, names_explaining
from shared.evolution.usage import Neighbours

_LONGEST_NAME_BYTES = 255  # of a queue or an exchange
_KIND = "topic"  # of the exchanges that Evolution declares
_IMPOSSIBLE = {"alternate-exchange": 0}  # has to be a name
_ALL_BUT_THE_IMPOSSIBLE = "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange'"  # in RabbitMQ's words
_TIMEOUTS = {"read_timeout": 10, "write_timeout": 10}


class RabbitMQ:
    """One virtual host, with a connection for each use: it is needed once in a deletion."""

    def __init__(self, url: str, shared_names: frozenset[str]) -> None:
        self._url = url
        self._shared_names = shared_names

    def probe(self) -> None:
        """Raise Unreachable when it does not answer, Refused when it does not accept the user."""
        with self._connected():
            pass

    def rehearse(self, name: str) -> None:
        """Delete a queue and an exchange of such a name that do not exist: the server looks at the right first."""
        missing = f"{name}.lethe-rehearsal-{uuid4()}"
        if not _can_be_carried(missing):
            missing = missing[-len("lethe-rehearsal-") - 36 :]
        with self._connected() as connection:
            for delete in (connection.default_channel.exchange_delete, connection.default_channel.queue_delete):
                try:
                    delete(missing)
                except AccessRefused as error:
                    what = delete.__name__.replace("_delete", "s")
                    problem = f"RabbitMQ does not let Lethe's user delete {what} of the name: {error.reply_text}"
                    raise RequirementNotMet(problem, "give the user `configure` on them", "queues") from error

    def count_named(self, name: str, neighbours: Neighbours) -> Counts:
        """The queues and the exchange of the name."""
        with self._connected() as connection:
            queues, exchanges, _ = self._find(connection, name, neighbours)
        return {"queues": len(queues), "exchanges": len(exchanges)}

    def remove_named(self, name: str, neighbours: Neighbours) -> Taken:
        """Remove the exchange first, so that nothing more is routed, then the queues with their messages."""
        with self._connected() as connection:
            queues, exchanges, kept = self._find(connection, name, neighbours)
            for exchange in exchanges:
                connection.default_channel.exchange_delete(exchange)
            for queue in queues:
                connection.default_channel.queue_delete(queue)
        return Taken({"queues": len(queues), "exchanges": len(exchanges)}, kept)

    def _find(self, connection: Connection, name: str, neighbours: Neighbours) -> tuple[list[str], list[str], int]:
        """Queues and exchanges that are the name's alone, and how many are not."""
        found = [queue for queue in sorted(_queues_of(name)) if _exists(connection, _look_for_queue(queue))]
        others = {*neighbours(), *self._shared_names} if found else set[str]()
        mine = [queue for queue in found if not others & set(names_explaining(queue, ".", DOTTED_FORMS))]
        exchanges, foreign = self._exchange(connection, name)
        return mine, exchanges, len(found) - len(mine) + foreign

    def _exchange(self, connection: Connection, name: str) -> tuple[list[str], int]:
        if not _can_be_carried(name) or not _exists(connection, _look_for_exchange(name)):
            return [], 0
        if name in self._shared_names or not _is_a_topic(connection, name):
            return [], 1  # everybody's, or not Evolution's at all
        return [name], 0

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with Connection(self._url, connect_timeout=3, heartbeat=0, transport_options=_TIMEOUTS) as connection:
            try:
                connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=3)
                yield connection
            except (AccessRefused, NotAllowed) as error:
                raise Refused(f"RabbitMQ refuses Lethe's user: {type(error).__name__}") from error
            except (OperationalError, OSError) as error:
                raise _explain(error) from error
            except AMQPError as error:
                raise TransientError(f"RabbitMQ answered {type(error).__name__}") from error


def _explain(error: Exception) -> Exception:
    """A refusal is not an absence, even where kombu wraps both alike."""
    if isinstance(error.__cause__, AccessRefused | NotAllowed):
        return Refused(f"RabbitMQ refuses Lethe's user: {type(error.__cause__).__name__}")
    return Unreachable("RabbitMQ", type(error.__cause__ or error).__name__)


def _can_be_carried(name: str) -> bool:
    """Whether RabbitMQ takes the name as it is: it drops line breaks, and `a\\n` would become a neighbour's `a`."""
    kept = not set("\r\n") & set(name) and len(name.encode()) <= _LONGEST_NAME_BYTES
    return kept and bool(name) and not name.startswith("amq.")  # the empty one and amq.* are RabbitMQ's own


def _queues_of(name: str) -> set[str]:
    return {queue for form in DOTTED_FORMS if _can_be_carried(queue := f"{name}.{form}")} if name else set()


def _look_for_queue(queue: str) -> Callable[[Channel], object]:
    return lambda channel: channel.queue_declare(queue, passive=True)


def _look_for_exchange(name: str) -> Callable[[Channel], object]:
    return lambda channel: channel.exchange_declare(name, _KIND, passive=True)


def _exists(connection: Connection, look: Callable[[Channel], object]) -> bool:
    """Whether a passive declaration finds it; a miss closes the channel, so each look has its own."""
    channel = connection.channel()
    try:
        look(channel)
    except NotFound:
        return False
    channel.close()
    return True


def _is_a_topic(connection: Connection, name: str) -> bool:
    """Whether what exists is an exchange as Evolution declares it: of another kind, it is somebody else's.

    A passive declaration tells nothing of the kind. This one is refused whatever is there, so that it never creates
    an exchange that has gone since: kinds are compared first, and only then what no exchange can have.
    """
    channel = connection.channel()
    try:
        channel.exchange_declare(name, _KIND, durable=True, auto_delete=False, arguments=_IMPOSSIBLE)
    except PreconditionFailed as refusal:
        return (refusal.reply_text or "").startswith(_ALL_BUT_THE_IMPOSSIBLE)
    channel.close()
    return False
