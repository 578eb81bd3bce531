"""Keeps a worker alive when Redis is lost or refuses writes: kombu ends the process over either."""

from kombu.transport import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from shared import logs

log = logs.get(__name__)


class _QoS(redis.QoS):
    """Restores unacknowledged messages when a channel closes, if Redis still answers."""

    def restore_unacked_once(self, stderr: object = None) -> None:
        """As kombu does; on an error Redis is gone: it delivers the messages later, or the reconciler publishes."""
        try:
            super().restore_unacked_once(stderr)  # type: ignore[no-untyped-call]
        except (AttributeError, RedisError, OSError) as error:  # AttributeError: of a connection that is half closed
            log.warning("messages not restored", error=type(error).__name__)


class _Channel(redis.Channel):
    """Opens only on a Redis that accepts writes; otherwise Celery would reopen it several times a second."""

    QoS = _QoS

    def __init__(self, *args: object, **options: object) -> None:
        try:
            super().__init__(*args, **options)  # type: ignore[no-untyped-call]
            self.client.set("lethe:ready", b"", px=1_000)
        except ResponseError as error:  # like a lost connection: Celery connects again, with growing pauses
            raise RedisConnectionError(str(error)) from error


def patch_kombu() -> None:
    """Replace kombu's Redis channel in this process."""
    redis.Transport.Channel = _Channel
