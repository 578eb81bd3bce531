"""Deletions ordered on the server, one or many: given, followed to their end, and reported."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from cli import operator
from cli.common import stop
from shared import wake
from shared.audit import Action
from shared.confirmation import WARNING, Confirmation, Demand
from shared.database import reaching
from shared.models import UNDER_WAY, Deletion, DeletionStatus
from shared.services import Services
from tasks import submission
from tasks.caller import Caller

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

    @property
    def good(self) -> bool:
        """Whether it goes on, or has succeeded."""
        return self.status in (*UNDER_WAY, DeletionStatus.SUCCEEDED)


def read(file: Path) -> list[Order]:
    """One name a line, each once and exactly as it stands there; ends the command when it is no text."""
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        stop(f"{file} is not UTF-8")
    names = dict.fromkeys(line.removesuffix("\r") for line in lines)
    return [Order(name) for name in names if name]


def confirm_one(made: Services, order: Order) -> Confirmation | None:
    """Let the operator type its name or id, where deletions are to be confirmed; ends the command otherwise."""
    if made.settings.confirmation is Demand.OFF:
        return None
    word = order.called.strip() or "yes"  # a name can be blank
    click.echo(f"{order.called!r} will be erased. {WARNING}", err=True)
    _ask(f"Type {word} to delete it", word)
    return operator.confirmation()


def confirm_many(made: Services, wanted: list[Order]) -> Confirmation:
    """Let the operator see how many there are, and type their number; ends the command otherwise."""
    there = sum(made.tenant.find(name=order.name) is not None for order in wanted)
    click.echo(f"{len(wanted)} names, {there} of them instances that exist now. This cannot be undone.", err=True)
    if not there:
        stop("There is nothing to delete")
    _ask(f"Type {there} to delete them", str(there))
    return operator.confirmation()


def _ask(question: str, word: str) -> None:
    if click.prompt(question, err=True, default="", show_default=False).strip() != word:
        stop("Nothing was deleted")


def carry_out(made: Services, caller: Caller, wanted: list[Order], results: list[Result], *, wait: bool) -> None:
    """Give each order and write down what became of it; with wait, follow them to their ends."""
    for order in wanted:
        results.append(_give(made, caller, order))
    if wait:
        results[:] = [_follow(made, result) for result in results]


def _give(made: Services, caller: Caller, order: Order) -> Result:
    try:
        if order.name is not None:
            deletion_id = submission.by_name(made, caller, order.name)
        else:
            deletion_id = submission.by_id(made, caller, order.called)
    except submission.UnknownInstance as error:
        operator.tell_refusal(made, Action.DELETE, "unknown instance")
        return Result(order.called, None, "refused", error.title)
    except submission.UnderWay as error:
        operator.tell_refusal(made, Action.DELETE, "already being deleted", error.deletion_id)
        return Result(order.called, str(error.deletion_id) if error.deletion_id else None, "refused", error.title)
    return Result(order.called, str(deletion_id), DeletionStatus.QUEUED.value)


def _follow(made: Services, result: Result) -> Result:
    if not result.good or result.deletion_id is None:
        return result
    deletion_id = UUID(result.deletion_id)
    while not wake.wait_until(made.redis, deletion_id, lambda: _ended(made, deletion_id), _LONGEST_WAIT_SECONDS):
        continue
    status, reason = _look(made, deletion_id)
    return Result(result.called, result.deletion_id, status.value, reason)


def _ended(made: Services, deletion_id: UUID) -> bool:
    return _look(made, deletion_id)[0] not in UNDER_WAY


def _look(made: Services, deletion_id: UUID) -> tuple[DeletionStatus, str | None]:
    query = select(Deletion.status, Deletion.reason).where(Deletion.id == deletion_id)
    with reaching("the own database"), Session(made.own) as session:
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
