"""Lets a worker outlive its Redis: kombu stumbles over messages that it cannot put back, and ends the process."""

from kombu.transport import redis
from redis.exceptions import RedisError

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


def patch_kombu() -> None:
    """From now on, in this process."""
    redis.Channel.QoS = _QoS
