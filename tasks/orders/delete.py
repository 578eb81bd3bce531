"""Orders to delete an instance: accept a new deletion or resume the failed one; also preview and logout orders."""

import time
from datetime import datetime
from uuid import UUID, uuid4

from redis.exceptions import RedisError
from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from shared import logs
from shared.access.confirmation import Confirmation
from shared.audit import chain
from shared.audit.entries import Action, Actor, Decision, Entry
from shared.database.connections import own_statement, own_transaction
from shared.database.models import ENDED, Deletion, DeletionStatus
from shared.deletions import lifecycle, lock
from shared.deletions.republishing import StepMessage
from shared.errors import LetheError, Refused
from shared.evolution.gateway import can_be_addressed
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from tasks import pipeline, publishing
from tasks.archiving import of_deletion as archiving
from tasks.gateways import in_memory
from tasks.orders import resume, schedule
from tasks.orders.caller import Caller

log = logs.get(__name__)
# Another call may hold the lock and not have committed its deletion yet: a round trip or two is enough.
_WAIT_FOR_ROW_SECONDS = 2.0
_FIRST_LEASE_SECONDS = 10.0  # a worker claims the deletion meanwhile; soon over if this process dies before it inserts


def _newest_unfinished_with(column: InstrumentedAttribute[str]) -> Select[Deletion]:
    wanted = select(Deletion).where(column == bindparam("value"), Deletion.status.not_in(ENDED))
    return wanted.order_by(Deletion.accepted_at.desc()).limit(1)


_OF_NAME, _OF_INSTANCE = map(_newest_unfinished_with, (Deletion.instance_name, Deletion.instance_id))


class UnknownInstance(LetheError):
    """No instance has that name or id."""

    def __init__(self, called: str) -> None:
        super().__init__(f'The "{called}" instance does not exist')
        self.called = called


class AlreadyBeingDeleted(LetheError):
    """An unfinished deletion of the instance exists; deletion_id is None while its row is not committed."""

    def __init__(self, name: str, deletion_id: UUID | None = None, why: str = "is already being deleted") -> None:
        super().__init__(f'The "{name}" instance {why}')
        self.deletion_id = deletion_id


def by_name(services: Services, caller: Caller, name: str, not_before: datetime | None = None) -> UUID:
    """Accept (or resume) the deletion of the instance with that name; returns the deletion's id.

    not_before: when it begins. Without it, a new deletion begins after the grace period of the settings.
    """
    unfinished = _newest_unfinished(services, _OF_NAME, name)
    instance = services.tenant.find(name=name)
    if instance is None and unfinished is None:
        instance = _in_memory_only(services, caller, name)
    return _submit(services, caller, instance, unfinished, name, not_before)


def by_id(services: Services, caller: Caller, instance_id: str, not_before: datetime | None = None) -> UUID:
    """Accept (or resume) the deletion of the instance with that id; returns the deletion's id."""
    # In this order: a deletion that ends between the two queries is found, and its instance is not.
    unfinished = _newest_unfinished(services, _OF_INSTANCE, instance_id)
    instance = services.tenant.find(instance_id=instance_id)
    return _submit(services, caller, instance, unfinished, instance_id, not_before)


def find(
    services: Services, caller: Caller, action: Action, *, name: str | None = None, instance_id: str | None = None
) -> Instance:
    """The instance on which the caller may do this, with a line in the audit; raises UnknownInstance."""
    instance = services.tenant.find(name=name, instance_id=instance_id)
    if instance is None and name is not None and action is Action.PREVIEW:
        instance = _in_memory_only(services, caller, name)
    caller.authorise(instance, None)
    if instance is None:
        raise UnknownInstance(str(name if name is not None else instance_id))
    _write_audit(services, Entry(action, Decision.ACCEPTED, caller.actor, instance.id))
    return instance


def log_out(services: Services, actor: Actor, instance: Instance) -> None:
    """End the instance's session at every gateway, and write the outcome to the audit."""
    try:
        _log_out(services, instance)
    except LetheError as error:
        _write_audit(services, Entry(Action.LOGOUT, Decision.FAILED, actor, instance.id, reason=type(error).__name__))
        raise
    _write_audit(services, Entry(Action.LOGOUT, Decision.SUCCEEDED, actor, instance.id))


def _log_out(services: Services, instance: Instance) -> None:
    if not can_be_addressed(instance.name):
        raise Refused("The gateway cannot be asked for an instance of that name")
    with services.tenant.holding_name(instance.id, instance.name) as is_its_name:
        if not is_its_name:  # it was deleted or renamed a moment ago
            raise UnknownInstance(instance.name)
        for gateway in services.gateways:
            gateway.log_out(instance.name)


def _in_memory_only(services: Services, caller: Caller, name: str) -> Instance | None:
    """A placeholder for an instance that only a gateway has in memory. Other callers never learn whether it exists."""
    instance = in_memory.placeholder(name)
    caller.authorise(instance, None)
    return instance if in_memory.is_known(services, name) else None


def _write_audit(services: Services, entry: Entry) -> None:
    with own_transaction(services.own) as connection:
        chain.append(connection, entry)


def _newest_unfinished(services: Services, query: Select[Deletion], value: str) -> Deletion | None:
    if "\x00" in value:  # PostgreSQL text cannot hold NUL, so no instance has that name
        return None
    with own_statement(services.own) as connection, Session(connection, expire_on_commit=False) as session:
        return session.scalar(query, {"value": value})


def _submit(
    services: Services,
    caller: Caller,
    instance: Instance | None,
    unfinished: Deletion | None,
    called: str,
    not_before: datetime | None,
) -> UUID:
    if instance and unfinished and unfinished.instance_id != instance.id:
        unfinished = None  # of an earlier instance with this name
    caller.authorise(instance, unfinished)
    schedule.check(services, not_before)
    archiving.check(services, wanted=caller.exports)
    if unfinished:
        return _follow_up(services, caller, unfinished, instance, not_before)
    if instance is None:
        raise UnknownInstance(called)
    return _accept(services, caller, instance, not_before)


def _accept(services: Services, caller: Caller, instance: Instance, wanted: datetime | None) -> UUID:
    confirmation, deletion_id = caller.confirm(instance), uuid4()
    not_before = schedule.begins_at(services, wanted)
    if not_before:  # before the lock, whose first lease is short
        schedule.rehearse(services, instance, exports=caller.exports)
    if not lock.acquire(services.redis, instance.id, deletion_id, _FIRST_LEASE_SECONDS):
        return _follow_up(services, caller, _wait_for_row(services, instance), instance, wanted)
    try:
        message = insert(services, caller, instance, deletion_id, confirmation=confirmation, not_before=not_before)
    except Exception as error:
        _release_lock(services, instance.id, deletion_id)
        if isinstance(error, lifecycle.AlreadyRequested):
            return _follow_up(services, caller, _wait_for_row(services, instance), instance, wanted)
        raise
    log.info("accepted", deletion_id=str(deletion_id), instance_id=instance.id, requester=caller.actor.role)
    if not_before is None and not publishing.publish(services, message):
        log.warning("not published, the reconciler will", deletion_id=str(deletion_id))
    return deletion_id


def insert(
    services: Services,
    caller: Caller,
    instance: Instance,
    deletion_id: UUID,
    *,
    action: Action = Action.DELETE,
    confirmation: Confirmation | None = None,
    not_before: datetime | None = None,
) -> StepMessage:
    """Insert the deletion and its audit line in one transaction; raises AlreadyRequested."""
    exports = archiving.is_needed(services, wanted=caller.exports)
    with own_transaction(services.own) as connection:
        message = lifecycle.accept(
            connection,
            deletion_id=deletion_id,
            instance_id=instance.id,
            instance_name=instance.name,
            requester=caller.requester,
            steps=pipeline.NAMES,
            republish_seconds=services.settings.nudge_seconds,
            confirmation=confirmation,
            not_before=not_before,
            exports=exports,
        )
        if confirmation:
            confirmation.use(connection)
        caller.count_request()
        reason = schedule.audit_reason(not_before, exports=exports)
        chain.append(connection, Entry(action, Decision.ACCEPTED, caller.actor, instance.id, deletion_id, reason))
    return message


def _wait_for_row(services: Services, instance: Instance) -> Deletion:
    """The unfinished deletion, from the own database: an answer never relies on Redis alone."""
    deadline = time.monotonic() + _WAIT_FOR_ROW_SECONDS
    while True:
        found = _newest_unfinished(services, _OF_INSTANCE, instance.id)
        if found:
            return found
        if time.monotonic() > deadline:
            raise AlreadyBeingDeleted(instance.name)
        time.sleep(0.05)  # between two queries for a row that another call is about to commit


def _follow_up(
    services: Services, caller: Caller, deletion: Deletion, instance: Instance | None, not_before: datetime | None
) -> UUID:
    """Report a scheduled deletion, resume a failed one, refuse any other. None of them gets another moment."""
    if deletion.status is DeletionStatus.SCHEDULED and not_before in (None, deletion.not_before):
        return _report(services, caller, deletion)
    if not_before is not None:
        raise AlreadyBeingDeleted(
            deletion.instance_name,
            deletion.id,
            f"has a deletion already, which is {deletion.status.value}: its moment is not changed",
        )
    if deletion.status is DeletionStatus.FAILED:
        # By its id as well: it may have another name by now, and is whole all the same.
        whole = instance or services.tenant.find(instance_id=deletion.instance_id)
        confirmation = resume.confirm_again(caller, deletion, whole)
        lock.take(services.redis, deletion.instance_id, deletion.id, _FIRST_LEASE_SECONDS)
        try:
            resumed = resume.resume(services, deletion.id, caller, action=Action.DELETE, confirmation=confirmation)
        except Exception:
            _release_lock(services, deletion.instance_id, deletion.id)
            raise
        if resumed:
            log.info("resumed", deletion_id=str(deletion.id))
            return deletion.id
    raise AlreadyBeingDeleted(deletion.instance_name, deletion.id)


def _report(services: Services, caller: Caller, deletion: Deletion) -> UUID:
    """The id of a scheduled deletion that was ordered once more: the order changes nothing, or adds an export."""
    with own_transaction(services.own) as connection:
        if caller.exports:
            archiving.require(connection, deletion.id)
        caller.count_request()
        repeated = Entry(
            Action.DELETE, Decision.ACCEPTED, caller.actor, deletion.instance_id, deletion.id, "scheduled already"
        )
        chain.append(connection, repeated)
    return deletion.id


def _release_lock(services: Services, instance_id: str, deletion_id: UUID) -> None:
    try:
        lock.release(services.redis, instance_id, deletion_id)
    except RedisError as error:  # the lease ends soon
        log.warning("lock not released", error=type(error).__name__)
