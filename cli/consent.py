"""Who deletes on a terminal types what it is; a script says --yes."""

import sys
from collections.abc import Callable, Sequence

import click

from cli import account, wording
from cli.runtime import stop
from shared.access.confirmation import WARNING, Confirmation, text_to_type
from shared.errors import LetheError
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from shared.settings import PREFIX, ConfirmationMode
from tasks.orders.delete import UnknownInstance

Confirm = Callable[[Instance], Confirmation | None]


class NotAsked(LetheError):
    """It did not exist when the number was typed."""


def check(made: Services, *, yes: bool) -> None:
    """End the command when nobody can be asked and nothing else will do."""
    if yes and made.settings.confirmation is not ConfirmationMode.OFF:
        stop(f"--yes is not enough: {PREFIX}CONFIRMATION is {made.settings.confirmation.value}, so it has to be typed")
    if not yes and not (sys.stdin and sys.stdin.isatty()):
        raise click.UsageError("A deletion is confirmed by typing, and this is no terminal: a script has to say --yes")


def to_one(made: Services) -> Confirm:
    """Let the operator type its name, or its id where nobody could type the name; ends the command otherwise."""

    def confirm(instance: Instance) -> Confirmation:
        word = text_to_type(instance.id, instance.name)
        click.echo(f"{instance.name!r} (id {instance.id}) will be erased everywhere. {WARNING}", err=True)
        _ask(f"Type {word} to delete it", word)
        if made.tenant.find(instance_id=instance.id) is None:  # a person takes minutes: somebody else has erased it
            raise UnknownInstance(instance.name)
        return account.confirmation()

    return confirm


def to_many(made: Services, names: Sequence[str]) -> Confirm:
    """Let the operator see how many there are, and type their number; ends the command otherwise."""
    found = {name: made.tenant.find(name=name) for name in names}
    ids = {instance.id for instance in found.values() if instance}
    if ids:  # else there is nothing to keep, only what has failed half-way
        click.echo(f"{_told(found)}. {WARNING}", err=True)
        _ask(f"Type {len(ids)} to delete {'it' if len(ids) == 1 else 'them'}", str(len(ids)))

    def confirm(instance: Instance) -> Confirmation:
        if instance.id not in ids:  # created since: nobody has counted it
            raise NotAsked
        return account.confirmation()

    return confirm


def _told(found: dict[str, Instance | None]) -> str:
    there = sum(instance is not None for instance in found.values())
    missing = [name for name, instance in found.items() if instance is None]
    unknown = f"; unknown: {wording.listed(missing)}" if missing else ""
    return f"{wording.counted(len(found), 'name')}; instances that exist now: {there}{unknown}"


def _ask(question: str, word: str) -> None:
    if click.prompt(question, err=True, default="", show_default=False) != word:
        stop("Nothing was deleted")
