"""Takes orders from calls: what tasks.submission says, as HTTP has it."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from api import auditing, auth, current
from api.errors import AlreadyBeingDeleted, BadRequest, Unauthorized, UnknownInstance
from shared import logs
from shared.audit import Action
from shared.gateway import Stuck
from shared.models import Deletion
import structlog
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
from tasks import submission
from tasks.submission import Caller

log = logs.get(__name__)


def submit_by_name(name: str) -> UUID:
    """Accept (or resume) the deletion of whoever bears the name; returns its id."""
    with _answering():
        return submission.by_name(current.services(), _caller(), name)


def submit_by_id(instance_id: str) -> UUID:
    """Accept (or resume) the deletion of the instance with that id; returns its id."""
    with _answering():
        return submission.by_id(current.services(), _caller(), instance_id)


def find(action: Action, *, name: str | None = None, instance_id: str | None = None) -> Instance:
    """The living instance that the caller may do this with."""
    with _answering():
        return submission.find(current.services(), _caller(), action, name=name, instance_id=instance_id)


def log_out(instance: Instance) -> None:
    """End the instance's session at every gateway."""
    try:
        submission.log_out(current.services(), auditing.actor(), instance)
    except submission.UnknownInstance as error:
        raise UnknownInstance(error.called) from None
    except Stuck as error:
        raise BadRequest(error.title) from error


def _caller() -> Caller:
    return Caller(auditing.actor(), auth.principal().key_hash, _authorise)


def _authorise(instance: Instance | None, deletion: Deletion | None) -> None:
    auditing.about(instance.id if instance else None, deletion.id if deletion else None)
    if not auth.may_touch(instance, deletion):
        log.warning("refused")  # without the name: it is often a phone number
        raise Unauthorized


@contextmanager
def _answering() -> Iterator[None]:
    """Whatever is returned has its line in the audit already; errors become answers."""
    try:
        yield
    except submission.UnknownInstance as error:
        raise UnknownInstance(error.called) from None
    except submission.UnderWay as error:
        if error.deletion_id is None:
            raise AlreadyBeingDeleted(error.title) from None
        deletion_id = str(error.deletion_id)
        raise AlreadyBeingDeleted(
            error.title, headers={"Location": f"/deletions/{deletion_id}"}, deletionId=deletion_id
        ) from None
    auditing.accepted()
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
    structlog.contextvars.bind_contextvars(deletion_id=str(deletion_id))
    log.info("accepted", instance_id=instance.id, requester=caller.role)
    _publish(services, nudge)
    return deletion_id


def _publish(services: Services, nudge: Nudge) -> None:
    if not pipeline.submit(services, nudge):
        log.warning("not published, the reconciler will")


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
            structlog.contextvars.bind_contextvars(deletion_id=str(deletion.id))
            log.info("resumed")
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
