"""Keeps a worker alive when Redis is lost or refuses writes: kombu ends the process over either."""

from kombu.transport import redis
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.sentinel import MasterNotFoundError

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


class _OnPrimary:
    """Opens only on a Redis that accepts writes; otherwise Celery would reopen the channel several times a second."""

    QoS = _QoS
    client: Redis

    def __init__(self, *args: object, **options: object) -> None:
        try:
            super().__init__(*args, **options)
            self.client.set("lethe:ready", b"", px=1_000)
        except MasterNotFoundError:  # its own text describes each connection
            raise RedisConnectionError("no Sentinel names a primary") from None
        except ResponseError as error:  # like a lost connection: Celery connects again, with growing pauses
            raise RedisConnectionError(str(error)) from error


class _Channel(_OnPrimary, redis.Channel):
    pass


class _SentinelChannel(_OnPrimary, redis.SentinelChannel):
    pass


def patch_kombu() -> None:
    """Replace kombu's Redis channels in this process."""
    redis.Transport.Channel = _Channel
    redis.SentinelTransport.Channel = _SentinelChannel
