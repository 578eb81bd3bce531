"""`lethe sweep`: what earlier, failed or foreign deletions left, and its removal."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click

from cli import account, wording
from cli.runtime import print_json, reached, stop
from shared.audit import chain
from shared.audit.entries import Action, Decision, Entry
from shared.database.connections import own_transaction
from shared.services import Services
from tasks.leftovers import leftovers
from tasks.leftovers.leftovers import By, Found, Leftover


def sweep(remove: bool, older_than_seconds: float, yes: bool, as_json: bool) -> None:
    """Show what is left over; remove it when that is wanted and confirmed."""
    if remove and as_json and not yes:
        raise click.UsageError("--remove with --json needs --yes: a script cannot be asked")
    with reached() as made:
        found = leftovers.find(made)
        removable = found.removable(older_than_seconds)
        if not as_json:
            _show(found, removable)
        removed: dict[Leftover, int] = {}
        if remove and removable:
            _confirm(found, removable, yes=yes)
            for each in removable:
                removed[each] = _remove(made, each)
                if not as_json:
                    click.echo(f"removed {_counted(each, removed[each])}: {_place(each)}")
    if as_json:
        going = {each.whose for each in removable}
        print_json([_row(each, each.whose in going, removed.get(each)) for each in found.leftovers])


def _remove(made: Services, leftover: Leftover) -> int:
    """Remove it; the audit has a line before, for what an interruption leaves unsaid, and one with what went."""
    _tell(made, leftover, Decision.ACCEPTED, leftover.held.number)
    removed = sum(leftovers.remove(made, leftover))
    _tell(made, leftover, Decision.SUCCEEDED, removed)
    return removed


def _tell(made: Services, leftover: Leftover, decision: Decision, number: int) -> None:
    entry = Entry(Action.SWEEP, decision, account.actor(), reason=_counted(leftover, number))
    if leftover.by is By.NAME:
        entry = replace(entry, reason=f"{entry.reason} by a name")  # which one, no audit says
    if leftover.by is By.DELETION:
        entry = replace(entry, deletion_id=UUID(leftover.owner))
    if leftover.by is By.ID:
        entry = replace(entry, instance_id=leftover.owner)
    with own_transaction(made.own) as connection:
        chain.append(connection, entry)


def _confirm(found: Found, removable: list[Leftover], *, yes: bool) -> None:
    if not found.living:
        click.echo("None of the ids in these stores is a living instance: is this the right tenant database?", err=True)
        if yes:
            stop("Run it without --yes to remove all of it nevertheless")
    if yes:
        return
    wanted = f"remove {len(removable)}"
    if click.prompt(f"This cannot be undone. Type '{wanted}' to go on", default="", show_default=False) != wanted:
        stop("Nothing was removed")


def _show(found: Found, removable: list[Leftover]) -> None:
    going = {each.whose for each in removable}
    for each in found.leftovers:
        stays = "" if each.whose in going else "  stays: too young, or of unknown age"
        size = f"{each.held.size_bytes / 1024:,.0f} KB"
        click.echo(f"{_counted(each, each.held.number):>16} {size:>12}  {_age(each):>10}  {_place(each)}{stays}")
    total = sum(each.held.number for each in removable)
    can_go = f"{wording.counted(total, 'thing')} in {wording.counted(len(removable), 'place')} can go"
    click.echo(can_go if found.leftovers else "Nothing is left over")


def _place(leftover: Leftover) -> str:
    """Where it lies, harmless to a terminal, and the name that it is kept by."""
    place = leftover.place if leftover.place.isprintable() else repr(leftover.place)
    return f"{place} (name {leftover.owner!r})" if leftover.by is By.NAME else place


def _unit(leftover: Leftover) -> str:
    return "files" if leftover.kind is leftovers.Kind.TRASH else leftover.kind.value


def _counted(leftover: Leftover, number: int) -> str:
    return wording.counted(number, _unit(leftover).removesuffix("s"))


def _age(leftover: Leftover) -> str:
    if leftover.held.newest is None:
        return "age?"
    hours = (datetime.now(UTC) - leftover.held.newest).total_seconds() / 3600
    return f"{hours / 24:,.0f} days" if hours >= 48 else f"{hours:,.1f} h"


def _row(leftover: Leftover, removable: bool, removed: int | None) -> dict[str, Any]:
    return {
        "kind": leftover.kind,
        "id": None if leftover.by is By.NAME else leftover.owner,
        "name": leftover.owner if leftover.by is By.NAME else None,
        "place": leftover.place,
        "number": leftover.held.number,
        "sizeBytes": leftover.held.size_bytes,
        "newest": leftover.held.newest,
        "removable": removable,
        "removed": removed,
    }
