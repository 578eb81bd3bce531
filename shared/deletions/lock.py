"""The Redis lock that turns a duplicate deletion away early; the guard itself is the own database."""

from uuid import UUID

from redis import Redis
from redis.exceptions import LockNotOwnedError
from redis.lock import Lock


def _lock(redis: Redis, instance_id: str, lease_seconds: float) -> Lock:
    # thread_local=False: taken in an API thread, held on by heartbeat threads of other processes.
    return Lock(redis, f"lethe:lock:{instance_id}", timeout=lease_seconds, thread_local=False)


def take(redis: Redis, instance_id: str, deletion_id: UUID, lease_seconds: float) -> bool:
    """Take the lock for a deletion, or extend it when that deletion holds it already."""
    return extend(redis, instance_id, deletion_id, lease_seconds) or bool(
        _lock(redis, instance_id, lease_seconds).acquire(blocking=False, token=str(deletion_id))
    )


def extend(redis: Redis, instance_id: str, deletion_id: UUID, lease_seconds: float) -> bool:
    """Renew the lease if this deletion holds the lock; compared and renewed in one script."""
    lock = _lock(redis, instance_id, lease_seconds)
    lock.local.token = str(deletion_id).encode()
    try:
        return bool(lock.reacquire())
    except LockNotOwnedError:
        return False


def release(redis: Redis, instance_id: str, deletion_id: UUID) -> bool:
    """Let go of the lock if this deletion holds it."""
    lock = _lock(redis, instance_id, 1)
    lock.local.token = str(deletion_id).encode()
    try:
        lock.release()
    except LockNotOwnedError:
        return False
    return True
