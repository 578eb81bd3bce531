"""Orders a deletion, waits for its end, and reports the results of one or many."""

import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from cli import account
from cli.runtime import print_json, stop
from shared import formatting
from shared.audit.entries import Action, Decision
from shared.database.models import UNDER_WAY, DeletionStatus
from shared.deletions import display, waiting
from shared.errors import Refused, RefusedByServer
from shared.services import Services
from shared.translations import sentences
from shared.translations.texts import _, ngettext
from tasks.orders import delete
from tasks.orders.caller import Caller

_LONGEST_WAIT_SECONDS = 3600.0  # then the wait begins again
ALREADY_DELETED = "already deleted"  # earlier, under the same name


@dataclass(frozen=True)
class Order:
    """An instance to delete, by its name or by its id."""

    name: str | None = None
    instance_id: str | None = None

    @property
    def called(self) -> str:
        """The name or id as it was given."""
        return str(self.name if self.name is not None else self.instance_id)


@dataclass(frozen=True)
class Result:
    """The result of an order."""

    called: str
    deletion_id: str | None
    status: str  # of the deletion, "refused" or "already deleted"
    reason: str | None = None
    exists: bool = True  # whether an instance or a deletion has this name or id
    not_before: datetime | None = None  # when a scheduled deletion begins

    @property
    def good(self) -> bool:
        """Whether the deletion is scheduled, under way, or has succeeded."""
        return self.status in (DeletionStatus.SCHEDULED, *UNDER_WAY, DeletionStatus.SUCCEEDED, ALREADY_DELETED)


def read_names(file: Path) -> list[str]:
    """One name per line, each once, exactly as written (no comments); ends the command when there is none.

    The file `-` is the standard input.
    """
    try:
        text = (sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()).decode("utf-8-sig")
    except UnicodeDecodeError:
        stop(_("{file} is not UTF-8", file=file))
    names = dict.fromkeys(line.removesuffix("\r") for line in text.split("\n"))
    return [name for name in names if name] or stop(_("{file} contains no name", file=file))


def submit(made: Services, caller: Caller, order: Order, not_before: datetime | None, *, wait: bool) -> Result:
    """Submit the order; with wait, wait for the end of the deletion."""
    result = _submit(made, caller, order, not_before)
    return _wait_for_end(made, result) if wait else result


def _submit(made: Services, caller: Caller, order: Order, not_before: datetime | None) -> Result:
    try:
        if order.name is not None:
            deletion_id = delete.by_name(made, caller, order.name, not_before)
        else:
            deletion_id = delete.by_id(made, caller, order.called, not_before)
    except delete.UnknownInstance as error:
        account.audit(made, Action.DELETE, Decision.REFUSED, "unknown instance")
        return Result(order.called, None, "refused", error.title, exists=False)
    except delete.AlreadyBeingDeleted as error:
        account.audit(made, Action.DELETE, Decision.REFUSED, "already being deleted", deletion_id=error.deletion_id)
        return Result(order.called, str(error.deletion_id) if error.deletion_id else None, "refused", error.title)
    except Refused as error:  # by the rehearsal of one that is to be scheduled
        if isinstance(error, RefusedByServer):  # it ends the command: the next one would be refused as well
            raise
        account.audit(made, Action.DELETE, Decision.REFUSED, "refused by the rehearsal")
        return Result(order.called, None, "refused", error.title)
    standing = display.load_status(made.own, deletion_id)
    if standing.status is DeletionStatus.SCHEDULED:
        return Result(order.called, str(deletion_id), standing.status.value, not_before=standing.not_before)
    return Result(order.called, str(deletion_id), DeletionStatus.QUEUED.value)


def _wait_for_end(made: Services, result: Result) -> Result:
    if not result.good or result.deletion_id is None:
        return result
    deletion_id = UUID(result.deletion_id)

    def ended() -> bool:
        return display.load_status(made.own, deletion_id).status not in UNDER_WAY

    while not waiting.wait_until(made.redis, deletion_id, ended, _LONGEST_WAIT_SECONDS):
        continue
    status, reason, not_before = display.load_status(made.own, deletion_id)
    return Result(result.called, result.deletion_id, status.value, reason, not_before=not_before)


def show(results: list[Result], *, as_json: bool) -> None:
    """One line for each order."""
    if as_json:
        print_json([asdict(result) for result in results])
        return
    for result in results:
        deletion_id, reason = result.deletion_id or "-", sentences.translated(result.reason or "")
        if result.status == DeletionStatus.SCHEDULED and result.not_before:
            reason = _("begins {time}", time=formatting.time_until(result.not_before, datetime.now(UTC)))
        click.echo(f"{deletion_id:<36}  {result.status:<9}  {result.called!r}  {reason}".rstrip())


def check_all_done(results: list[Result]) -> None:
    """Name the instances that do not exist; end the command when an order was not done."""
    if len(results) > 1 and (missing := [result.called for result in results if not result.exists]):
        click.echo(
            ngettext(
                "No instance has this name: {names}",
                "No instance has these names: {names}",
                len(missing),
                names=formatting.quoted(missing),
            ),
            err=True,
        )
    undone = sum(not result.good for result in results)
    if undone:
        stop(
            _(
                "{undone:,} of {deletions} not done",
                undone=undone,
                deletions=formatting.quantity(len(results), "deletion"),
            )
            if len(results) > 1
            else _("It was not done")
        )
