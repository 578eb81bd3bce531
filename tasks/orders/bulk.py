"""Orders of many deletions at once: accepted in a few statements, with one confirmation and a result for each."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from shared import logs
from shared.access.confirmation import Confirmation
from shared.audit import chain
from shared.audit.entries import Action, Decision, Entry
from shared.database.connections import own_transaction
from shared.database.models import Deletion
from shared.deletions import lifecycle
from shared.deletions.lifecycle import NewDeletion
from shared.errors import LetheError
from shared.evolution.gateway import CONNECTED, can_be_addressed
from shared.evolution.rows import listing
from shared.services import Services
from shared.translations.marks import N_
from tasks import pipeline, publishing
from tasks.archiving import of_deletion as archiving
from tasks.gateways import in_memory
from tasks.orders import resume, schedule
from tasks.orders.bulk_list import Meant, Outcome, Result, being_deleted, digest_of, find_unfinished
from tasks.orders.caller import Caller

log = logs.get(__name__)
_AT_ONCE = 50  # accepted in one transaction, which keeps the head of the audit for so many lines
_ASKED_AT_ONCE = 8


@dataclass(frozen=True)
class Ordered:
    """The answer to an order: a result for each name; without an id when nothing was accepted."""

    bulk_id: UUID | None
    digest: str
    results: list[Result]
    begins_at: datetime | None  # None: at once


def submit(
    services: Services,
    caller: Caller,
    meant: Sequence[Meant],
    not_before: datetime | None = None,
    *,
    only_disconnected: bool = False,
) -> Ordered:
    """Accept (or resume) the deletion of each, and say what became of it: one that is refused stops no other.

    not_before: when new ones begin, as for a single one; they are not rehearsed one by one before that.
    only_disconnected leaves out what a gateway has connected: now, and when the first step begins.
    """
    check(services, caller, not_before)
    begins_at = schedule.begins_at(services, not_before)
    digest, results = digest_of(meant), {each.called: _result(services, caller, each) for each in meant}
    wanted = [each for each in meant if results[each.called].outcome is Outcome.FOUND]
    bulk_id = None
    if wanted:
        confirmation = caller.confirm_list(digest)
        bulk_id = _begin(services, caller, len(wanted), digest, confirmation, begins_at)
        unused = replace(confirmation, use=lambda _: None) if confirmation else None  # it was used up just now
        order = _Order(services, caller, bulk_id, unused, begins_at, not_before is not None, only_disconnected)
        results |= {result.called: result for result in order.carry_out(wanted)}
    _audit_refusals(services, caller, results.values())
    return Ordered(bulk_id, digest, list(results.values()), begins_at)


def check(services: Services, caller: Caller, not_before: datetime | None) -> None:
    """Raise what refuses the order whatever its list: a moment that cannot be, or exports without a place for them."""
    schedule.check(services, not_before)
    archiving.check(services, wanted=caller.exports)


def _result(services: Services, caller: Caller, each: Meant) -> Result:
    """What an order would answer; a deletion that is under way does not stand for one with an export."""
    result, wants_export = each.result, caller.exports and services.settings.export != "required"
    if result.outcome is Outcome.BEING_DELETED and wants_export and each.unfinished and not each.unfinished.exports:
        return replace(result, outcome=Outcome.REFUSED, reason=N_(f"{result.reason}, without an export"))
    return result


def _begin(
    services: Services,
    caller: Caller,
    number: int,
    digest: str,
    confirmation: Confirmation | None,
    begins_at: datetime | None,
) -> UUID:
    """Use up the confirmation, count the deletions for the limits, and write the order's own line of the audit."""
    bulk_id, scheduled = uuid4(), schedule.audit_reason(begins_at, exports=caller.exports)
    with own_transaction(services.own) as connection:
        if confirmation:
            confirmation.use(connection)
        caller.count_requests(number)
        reason = f"order {bulk_id} of {number}, list sha256:{digest}" + (f", {scheduled}" if scheduled else "")
        chain.append(connection, Entry(Action.BULK, Decision.ACCEPTED, caller.actor, reason=reason))
    return bulk_id


@dataclass
class _Order:
    """An order whose confirmation was used up and whose number was counted."""

    services: Services
    caller: Caller
    bulk_id: UUID
    confirmation: Confirmation | None
    begins_at: datetime | None
    is_later: bool  # a moment was asked for: nothing begins before it
    only_disconnected: bool
    publishes: bool = True  # until the broker does not take a message: the reconciler publishes the others

    def carry_out(self, wanted: Sequence[Meant]) -> Iterator[Result]:
        """A result for each; an error refuses those that it concerns, and stops no other."""
        new, failed = ([each for each in wanted if bool(each.unfinished) is is_old] for is_old in (False, True))
        for first in range(0, len(new), _AT_ONCE):
            yield from self._attempt(self._accept, new[first : first + _AT_ONCE])
        for each in failed:
            yield from self._attempt(self._resume, [each])

    def _attempt(self, act: Callable[[Sequence[Meant]], list[Result]], part: Sequence[Meant]) -> list[Result]:
        try:
            return act(part)
        except LetheError as error:
            log.warning("part of an order refused", bulk_id=str(self.bulk_id), reason=error.title)
            known = self._find_deletions(part)  # only the answer to the commit may have been lost
            return [_after_error(each.called, self.bulk_id, known.get(each.instance_id or ""), error) for each in part]

    def _accept(self, part: Sequence[Meant]) -> list[Result]:
        left_out = _find_connected(self.services, part) if self.only_disconnected else []
        left_out += self._find_erased(part)
        names = {result.called for result in left_out}
        new = {each.called: NewDeletion(uuid4(), each.instance_id or "", each.name) for each in part}
        accepted = self._insert([new[each.called] for each in part if each.called not in names])
        results = [Result(each.called, Outcome.ACCEPTED, new[each.called].id) for each in part]
        done = [result for result in results if result.deletion_id in accepted]
        known = names.union(result.called for result in done)
        return [*left_out, *done, *self._find_others([each for each in part if each.called not in known])]

    def _insert(self, new: Sequence[NewDeletion]) -> set[UUID]:
        """Insert deletions with their lines of the audit, and publish them; the ids of those that are accepted."""
        if not new:
            return set()
        exports = archiving.is_needed(self.services, wanted=self.caller.exports)
        with own_transaction(self.services.own) as connection:
            messages = lifecycle.accept_all(
                connection,
                new,
                requester=self.caller.requester,
                steps=pipeline.NAMES,
                republish_seconds=self.services.settings.nudge_seconds,
                confirmation=self.confirmation,
                not_before=self.begins_at,
                bulk_id=self.bulk_id,
                only_disconnected=self.only_disconnected,
                exports=exports,
            )
            accepted = {message.deletion_id for message in messages}
            actor, reason = self.caller.actor, schedule.audit_reason(self.begins_at, exports=exports)
            chain.append(
                connection,
                *(
                    Entry(Action.DELETE, Decision.ACCEPTED, actor, each.instance_id, each.id, reason)
                    for each in new
                    if each.id in accepted
                ),
            )
        for message in messages if self.begins_at is None else ():
            self.publishes = self.publishes and publishing.publish(self.services, message)
        return accepted

    def _find_others(self, part: Sequence[Meant]) -> list[Result]:
        """The deletions of instances that another call has ordered meanwhile."""
        known = self._find_deletions(part)
        return [being_deleted(each.called, known.get(each.instance_id or "")) for each in part]

    def _find_erased(self, part: Sequence[Meant]) -> list[Result]:
        """Those that are gone since the list was looked at: another call's deletion has erased them meanwhile."""
        ids = [each.instance_id or "" for each in part]
        there = {each.id for each in listing.find_all(self.services.tenant, instance_ids=ids)}
        gone = [
            each
            for each in part
            if each.instance_id not in there and not in_memory.is_placeholder(each.instance_id or "")
        ]
        known = self._find_deletions(gone)
        return [
            being_deleted(each.called, known[each.instance_id])
            if each.instance_id in known
            else replace(each, instance=None).result
            for each in gone
        ]

    def _find_deletions(self, part: Sequence[Meant]) -> dict[str, Deletion]:
        """The unfinished deletions of these instances, by instance; none when that cannot be asked now."""
        if not part:
            return {}
        try:
            found = find_unfinished(self.services, Deletion.instance_id, [each.instance_id or "" for each in part])
        except LetheError:
            return {}
        return {each.instance_id: each for each in found}

    def _resume(self, part: Sequence[Meant]) -> list[Result]:
        ((each, deletion),) = ((each, each.unfinished) for each in part if each.unfinished)
        if self.only_disconnected:
            why = N_("left out: an earlier deletion of it has failed")
            return [Result(each.called, Outcome.REFUSED, deletion.id, why)]
        if self.is_later:
            why = N_(f"has a deletion already, which is {deletion.status.value}: its moment is not changed")
            return [Result(each.called, Outcome.REFUSED, deletion.id, why)]
        resumed = resume.resume(
            self.services,
            deletion.id,
            replace(self.caller, count_request=lambda: None),  # it was counted with the others
            action=Action.DELETE,
            confirmation=self.confirmation,
            bulk_id=self.bulk_id,
        )
        accepted = Result(each.called, Outcome.ACCEPTED, deletion.id)
        return [accepted if resumed else being_deleted(each.called, deletion)]


def _find_connected(services: Services, part: Sequence[Meant]) -> list[Result]:
    """Those that are connected at a gateway, or may be, with the reason why they are left out."""
    with ThreadPoolExecutor(_ASKED_AT_ONCE, "states") as pool:
        found = zip(part, pool.map(lambda each: _why_connected(services, each.name), part), strict=True)
        return [Result(each.called, Outcome.REFUSED, reason=N_(f"left out: {why}")) for each, why in found if why]


def _why_connected(services: Services, name: str) -> str | None:
    if not can_be_addressed(name):
        return N_("a gateway cannot be asked for the state of an instance of this name")
    try:
        states = [gateway.state(name) for gateway in services.gateways]
    except LetheError as error:
        return N_(f"its state is not known, {error.title}")
    return next((N_(f"its state is {state} now") for state in states if state in CONNECTED), None)


def _after_error(called: str, bulk_id: UUID, deletion: Deletion | None, error: LetheError) -> Result:
    """Refused, unless this order's deletion is there."""
    if deletion and deletion.bulk_id == bulk_id:
        return Result(called, Outcome.ACCEPTED, deletion.id)
    return Result(called, Outcome.REFUSED, reason=error.title)


def _audit_refusals(services: Services, caller: Caller, results: Iterable[Result]) -> None:
    """One line for all names with the same result."""
    reasons = {
        Outcome.UNKNOWN: "unknown instance",
        Outcome.BEING_DELETED: "already being deleted",
        Outcome.REFUSED: "refused in an order of many",
    }
    numbers = Counter(reasons[each.outcome] for each in results if each.outcome in reasons)
    lines = [
        Entry(Action.DELETE, Decision.REFUSED, caller.actor, reason=reason, times=number)
        for reason, number in numbers.items()
    ]
    if lines:
        with own_transaction(services.own) as connection:
            chain.append(connection, *lines)
