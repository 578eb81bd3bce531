"""Lets a worker outlive its Redis, be it away or refusing writes: kombu stumbles over both, and ends the process."""

from kombu.transport import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from shared import logs

log = logs.get(__name__)


class _QoS(redis.QoS):
    """Puts unacknowledged messages back when a channel closes, if there is still somebody to take them."""

    def restore_unacked_once(self, stderr: object = None) -> None:
        """As kombu does; when that fails, Redis is gone: it hands them out later, or the reconciler publishes."""
        try:
            super().restore_unacked_once(stderr)  # type: ignore[no-untyped-call]
        except (AttributeError, RedisError, OSError) as error:  # AttributeError: of a connection that is half closed
            log.warning("messages not put back", error=type(error).__name__)


class _Channel(redis.Channel):
    """Opens only on a Redis that takes writes: else it would be opened and lost again some times a second."""

    QoS = _QoS

    def __init__(self, *args: object, **options: object) -> None:
        try:
            super().__init__(*args, **options)  # type: ignore[no-untyped-call]
            self.client.set("lethe:ready", b"", px=1_000)
        except ResponseError as error:  # as a connection that is lost: Celery connects again, with growing pauses
            raise RedisConnectionError(str(error)) from error


def patch_kombu() -> None:
    """From now on, in this process."""
    redis.Transport.Channel = _Channel
