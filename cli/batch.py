"""Deletions ordered on the server, one or many: given, followed to their end, and reported."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from cli import account, wording
from cli.consent import NotAsked
from cli.runtime import stop
from shared.audit.entries import Action
from shared.database.connections import translate_errors
from shared.database.models import UNDER_WAY, Deletion, DeletionStatus
from shared.deletions import waiting
from shared.services import Services
from tasks.orders import delete
from tasks.orders.caller import Caller

_LONGEST_WAIT_SECONDS = 3600.0  # then it is waited for again


@dataclass(frozen=True)
class Order:
    """An instance to be deleted, by its name or by its id."""

    name: str | None = None
    instance_id: str | None = None

    @property
    def called(self) -> str:
        """As it was given."""
        return str(self.name if self.name is not None else self.instance_id)


@dataclass(frozen=True)
class Result:
    """What became of an order."""

    called: str
    deletion_id: str | None
    status: str  # of the deletion, or "refused"
    reason: str | None = None
    exists: bool = True  # whether there is something of that name or id, or was when its deletion began

    @property
    def good(self) -> bool:
        """Whether it goes on, or has succeeded."""
        return self.status in (*UNDER_WAY, DeletionStatus.SUCCEEDED)


def read(file: Path) -> list[Order]:
    """One name a line, each once and exactly as it stands there, # too; ends the command when there is none."""
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        stop(f"{file} is not UTF-8")
    names = dict.fromkeys(line.removesuffix("\r") for line in lines)
    orders = [Order(name) for name in names if name]
    return orders or stop(f"{file} has no name in it")


def carry_out(made: Services, caller: Caller, wanted: list[Order], results: list[Result], *, wait: bool) -> None:
    """Give each order and write down what became of it; with wait, follow them to their ends."""
    for order in wanted:
        results.append(_give(made, caller, order))
    if wait:
        results[:] = [_follow(made, result) for result in results]


def _give(made: Services, caller: Caller, order: Order) -> Result:
    try:
        if order.name is not None:
            deletion_id = delete.by_name(made, caller, order.name)
        else:
            deletion_id = delete.by_id(made, caller, order.called)
    except delete.UnknownInstance as error:
        account.tell_refusal(made, Action.DELETE, "unknown instance")
        return Result(order.called, None, "refused", error.title, exists=False)
    except NotAsked as error:
        account.tell_refusal(made, Action.DELETE, "confirmation needed")
        return Result(order.called, None, "refused", error.title)
    except delete.AlreadyBeingDeleted as error:
        account.tell_refusal(made, Action.DELETE, "already being deleted", error.deletion_id)
        return Result(order.called, str(error.deletion_id) if error.deletion_id else None, "refused", error.title)
    return Result(order.called, str(deletion_id), DeletionStatus.QUEUED.value)


def _follow(made: Services, result: Result) -> Result:
    if not result.good or result.deletion_id is None:
        return result
    deletion_id = UUID(result.deletion_id)
    while not waiting.wait_until(made.redis, deletion_id, lambda: _ended(made, deletion_id), _LONGEST_WAIT_SECONDS):
        continue
    status, reason = _look(made, deletion_id)
    return Result(result.called, result.deletion_id, status.value, reason)


def _ended(made: Services, deletion_id: UUID) -> bool:
    return _look(made, deletion_id)[0] not in UNDER_WAY


def _look(made: Services, deletion_id: UUID) -> tuple[DeletionStatus, str | None]:
    query = select(Deletion.status, Deletion.reason).where(Deletion.id == deletion_id)
    with translate_errors("the own database"), Session(made.own) as session:
        status, reason = session.execute(query).one()
    return DeletionStatus(status), reason


def show(results: list[Result], *, as_json: bool) -> None:
    """One line for each order, in its order."""
    if as_json:
        click.echo(json.dumps([asdict(result) for result in results]))
        return
    for result in results:
        deletion_id, reason = result.deletion_id or "-", result.reason or ""
        click.echo(f"{deletion_id:<36}  {result.status:<9}  {result.called!r}  {reason}".rstrip())


def end(results: list[Result]) -> None:
    """Name what does not exist, and end the command when not everything was done."""
    if len(results) > 1 and (missing := [result.called for result in results if not result.exists]):
        click.echo(
            f"No instance has {'this name' if len(missing) == 1 else 'these names'}: {wording.listed(missing)}",
            err=True,
        )
    undone = sum(not result.good for result in results)
    if undone:
        stop(
            f"{undone:,} of {wording.counted(len(results), 'deletion')} not done"
            if len(results) > 1
            else "It was not done"
        )
