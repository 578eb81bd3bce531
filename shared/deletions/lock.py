"""The Redis lock that rejects a duplicate deletion early. What guarantees it is a unique index of the own database."""

from uuid import UUID

from redis import Redis
from redis.exceptions import LockNotOwnedError
from redis.lock import Lock


def _lock(redis: Redis, instance_id: str, deletion_id: UUID, lease_seconds: float) -> Lock:
    # thread_local=False: an API thread takes the lock, and heartbeat threads of other processes extend it.
    lock = Lock(redis, f"lethe:lock:{instance_id}", timeout=lease_seconds, thread_local=False)
    lock.local.token = str(deletion_id).encode()
    return lock


def acquire(redis: Redis, instance_id: str, deletion_id: UUID, lease_seconds: float) -> bool:
    """Acquire the lock for a new deletion."""
    lock = _lock(redis, instance_id, deletion_id, lease_seconds)
    return bool(lock.acquire(blocking=False, token=str(deletion_id)))


def take(redis: Redis, instance_id: str, deletion_id: UUID, lease_seconds: float) -> bool:
    """Acquire the lock for a deletion, or extend it when the deletion holds it already."""
    return extend(redis, instance_id, deletion_id, lease_seconds) or acquire(
        redis, instance_id, deletion_id, lease_seconds
    )


def extend(redis: Redis, instance_id: str, deletion_id: UUID, lease_seconds: float) -> bool:
    """Extend the lock if this deletion holds it; one script compares and extends."""
    try:
        return bool(_lock(redis, instance_id, deletion_id, lease_seconds).reacquire())
    except LockNotOwnedError:
        return False


def release(redis: Redis, instance_id: str, deletion_id: UUID) -> bool:
    """Release the lock if this deletion holds it."""
    try:
        _lock(redis, instance_id, deletion_id, lease_seconds=1).release()
    except LockNotOwnedError:
        return False
    return True
