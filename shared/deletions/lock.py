"""The Redis lock that rejects a duplicate deletion early. What guarantees it is a unique index of the own database."""

from uuid import UUID

from redis import Redis
from redis.exceptions import LockNotOwnedError
from redis.lock import Lock


def _lock(redis: Redis, instance_id: str, lease_seconds: float) -> Lock:
    # thread_local=False: an API thread takes the lock, and heartbeat threads of other processes extend it.
    return Lock(redis, f"lethe:lock:{instance_id}", timeout=lease_seconds, thread_local=False)


def take(redis: Redis, instance_id: str, deletion_id: UUID, lease_seconds: float) -> bool:
    """Acquire the lock for a deletion, or extend it when the deletion holds it already."""
    return extend(redis, instance_id, deletion_id, lease_seconds) or bool(
        _lock(redis, instance_id, lease_seconds).acquire(blocking=False, token=str(deletion_id))
    )


def extend(redis: Redis, instance_id: str, deletion_id: UUID, lease_seconds: float) -> bool:
    """Extend the lock if this deletion holds it; one script compares and extends."""
    lock = _lock(redis, instance_id, lease_seconds)
    lock.local.token = str(deletion_id).encode()
    try:
        return bool(lock.reacquire())
    except LockNotOwnedError:
        return False


def release(redis: Redis, instance_id: str, deletion_id: UUID) -> bool:
    """Release the lock if this deletion holds it."""
    lock = _lock(redis, instance_id, 1)
    lock.local.token = str(deletion_id).encode()
    try:
        lock.release()
    except LockNotOwnedError:
        return False
    return True
