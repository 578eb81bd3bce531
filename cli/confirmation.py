"""Confirmation of deletions: the operator types the name or the number of instances; scripts pass --yes."""

import sys
from collections.abc import Callable
from datetime import datetime

import click

from cli import account
from cli.runtime import stop
from shared.access.confirmation import WARNING, Confirmation, text_to_type
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from shared.settings import PREFIX, ConfirmationMode
from shared.translations import sentences
from shared.translations.texts import _, ngettext
from tasks.orders import schedule
from tasks.orders.delete import UnknownInstance

Confirm = Callable[[Instance], Confirmation | None]


def check_possible(made: Services, *, yes: bool) -> None:
    """End the command when --yes is not enough, or when there is no terminal to type on."""
    if yes and made.settings.confirmation is not ConfirmationMode.OFF:
        stop(
            _(
                "--yes is not enough: {prefix}CONFIRMATION is {value}, so it has to be typed",
                prefix=PREFIX,
                value=made.settings.confirmation.value,
            )
        )
    if not yes and not (sys.stdin and sys.stdin.isatty()):
        raise click.UsageError(_("A deletion is confirmed by typing, and this is no terminal: a script needs --yes"))


def check_moment(made: Services, not_before: datetime | None) -> None:
    """End the command when a deletion cannot begin at this moment."""
    try:
        schedule.check(made, not_before)
    except schedule.ImpossibleMoment as error:
        stop(sentences.translated(error.title))


def of_one(made: Services) -> Confirm:
    """The operator types the instance's name, or its id when the name cannot be typed; else the command ends."""

    def confirm(instance: Instance) -> Confirmation:
        word = text_to_type(instance.id, instance.name)
        click.echo(
            _(
                "{name!r} (id {id}) will be erased everywhere. {warning}",
                name=instance.name,
                id=instance.id,
                warning=sentences.translated(WARNING),
            ),
            err=True,
        )
        _ask(_("Type {word} to delete it", word=word), word)
        if made.tenant.find(instance_id=instance.id) is None:  # it may have been erased while the operator typed
            raise UnknownInstance(instance.name)
        return account.confirmation()

    return confirm


def ask_for_number(number: int) -> None:
    """The operator types the number of the instances that were shown; else the command ends."""
    _ask(ngettext("Type {n} to delete it", "Type {n} to delete them", number, n=number), str(number))


def _ask(question: str, word: str) -> None:
    if click.prompt(question, err=True, default="", show_default=False) != word:
        stop(_("Nothing was deleted"))
