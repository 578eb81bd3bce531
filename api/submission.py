"""Accepts a deletion: lock, promise, publish; or finds the one that is there already."""

import time
from uuid import UUID, uuid4

from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from api import auth, current
from api.errors import AlreadyBeingDeleted, Unauthorized, UnknownInstance
from shared import deletions, lock, logs
from shared.database import own_transaction, reaching
from shared.models import ENDED, Deletion, DeletionStatus
from shared.nudges import Nudge
from shared.services import Services
from shared.tenant import Instance
from tasks import pipeline

log = logs.get(__name__)
# Another call may hold the lock and not have written its deletion yet; a round trip or two is enough.
_LOOK_AGAIN_SECONDS = 2.0
_FIRST_LEASE_SECONDS = 10.0  # long enough to be claimed, short enough if this process dies before it inserts


def submit_by_name(name: str) -> UUID:
    """Accept (or resume) the deletion of whoever bears the name; returns its id."""
    return _submit(current.services().tenant.find(name=name), _newest_unfinished(Deletion.instance_name, name), name)


def submit_by_id(instance_id: str) -> UUID:
    """Accept (or resume) the deletion of the instance with that id; returns its id."""
    instance = current.services().tenant.find(instance_id=instance_id)
    return _submit(instance, _newest_unfinished(Deletion.instance_id, instance_id), instance_id)


def find_by_name(name: str) -> Instance:
    """The living instance of that name, if the caller may touch it."""
    instance = current.services().tenant.find(name=name)
    _authorise(instance, None)
    if instance is None:
        raise UnknownInstance(name)
    return instance


def _newest_unfinished(column: InstrumentedAttribute[str], value: str) -> Deletion | None:
    if "\x00" in value:  # PostgreSQL text cannot hold NUL, so nobody is called that
        return None
    query = select(Deletion).where(column == value, Deletion.status.not_in(ENDED))
    with reaching("the own database"), Session(current.services().own, expire_on_commit=False) as session:
        return session.scalar(query.order_by(Deletion.accepted_at.desc()).limit(1))


def _authorise(instance: Instance | None, deletion: Deletion | None) -> None:
    if auth.may_touch(instance, deletion):
        return
    log.warning("refused")  # without the name: it is often a phone number
    raise Unauthorized


def _submit(instance: Instance | None, unfinished: Deletion | None, called: str) -> UUID:
    if instance and unfinished and unfinished.instance_id != instance.id:
        unfinished = None  # of an earlier bearer of the name
    _authorise(instance, unfinished)
    if unfinished:
        return _resume_or_refuse(unfinished)
    if instance is None:
        raise UnknownInstance(called)
    return _accept(instance)


def _accept(instance: Instance) -> UUID:
    services, caller, deletion_id = current.services(), auth.principal(), uuid4()
    if not lock.take(services.redis, instance.id, deletion_id, _FIRST_LEASE_SECONDS):
        return _resume_or_refuse(_deletion_of_the_lock(instance))
    try:
        with own_transaction(services.own) as connection:
            nudge = deletions.accept(
                connection,
                deletion_id=deletion_id,
                instance_id=instance.id,
                instance_name=instance.name,
                requester=caller.role,
                requester_key_hash=caller.key_hash,
                steps=pipeline.NAMES,
                nudge_seconds=services.settings.nudge_seconds,
            )
    except deletions.AlreadyRequested:
        _let_go(services, instance.id, deletion_id)
        return _resume_or_refuse(_deletion_of_the_lock(instance))
    except Exception:
        _let_go(services, instance.id, deletion_id)
        raise
    log.info("accepted", deletion_id=str(deletion_id), instance_id=instance.id, requester=caller.role)
    _publish(services, nudge)
    return deletion_id


def _publish(services: Services, nudge: Nudge) -> None:
    if not pipeline.submit(services, nudge):
        log.warning("not published, the reconciler will", deletion_id=str(nudge.deletion_id))


def _deletion_of_the_lock(instance: Instance) -> Deletion:
    """The deletion that is under way, from the own database: a 409 never takes its word from Redis."""
    deadline = time.monotonic() + _LOOK_AGAIN_SECONDS
    while True:
        found = _newest_unfinished(Deletion.instance_id, instance.id)
        if found:
            return found
        if time.monotonic() > deadline:
            raise AlreadyBeingDeleted(_under_way(instance.name))
        time.sleep(0.05)  # between two looks at a row that another call is about to commit


def _resume_or_refuse(deletion: Deletion) -> UUID:
    services = current.services()
    if deletion.status is DeletionStatus.FAILED:
        lock.take(services.redis, deletion.instance_id, deletion.id, _FIRST_LEASE_SECONDS)
        if pipeline.resume(services, deletion.id):
            log.info("resumed", deletion_id=str(deletion.id))
            return deletion.id
    raise AlreadyBeingDeleted(
        _under_way(deletion.instance_name),
        headers={"Location": f"/deletions/{deletion.id}"},
        deletionId=str(deletion.id),
    )


def _under_way(name: str) -> str:
    return f'The "{name}" instance is already being deleted'


def _let_go(services: Services, instance_id: str, deletion_id: UUID) -> None:
    try:
        lock.release(services.redis, instance_id, deletion_id)
    except RedisError as error:  # the first lease is short
        log.warning("lock not released", error=type(error).__name__)
