"""What `lethe sweep` does: finds data of instances that no longer exist, and removes it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click

from cli import account
from cli.runtime import connected, print_json, stop
from shared import formatting
from shared.audit.entries import Action, Decision
from shared.services import Services
from shared.translations import language
from shared.translations.texts import _
from tasks.leftovers import leftovers
from tasks.leftovers.leftovers import Found, Leftover, OwnerIs


def sweep(remove: bool, older_than_seconds: float, yes: bool, as_json: bool) -> None:
    """Show the leftovers; with remove, remove them after a confirmation."""
    if remove and as_json and not yes:
        raise click.UsageError(_("--remove with --json needs --yes: a script cannot be asked"))
    with connected() as made:
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
                    click.echo(_("removed {things}: {place}", things=_shown(each, removed[each]), place=_place(each)))
    if as_json:
        going = {each.whose for each in removable}
        print_json([_row(each, each.whose in going, removed.get(each)) for each in found.leftovers])


def _remove(made: Services, leftover: Leftover) -> int:
    """Remove it; with an audit line before, in case it is interrupted, and one with the result."""
    _audit(made, leftover, Decision.ACCEPTED, leftover.held.number)
    removed = sum(leftovers.remove(made, leftover))
    _audit(made, leftover, Decision.SUCCEEDED, removed)
    return removed


def _audit(made: Services, leftover: Leftover, decision: Decision, number: int) -> None:
    by_name = " by a name" if leftover.owner_is is OwnerIs.NAME else ""  # the audit contains no names
    account.audit(
        made,
        Action.SWEEP,
        decision,
        f"{_counted(leftover, number)}{by_name}",
        instance_id=leftover.owner if leftover.owner_is is OwnerIs.ID else None,
        deletion_id=UUID(leftover.owner) if leftover.owner_is is OwnerIs.DELETION else None,
    )


def _confirm(found: Found, removable: list[Leftover], *, yes: bool) -> None:
    if not found.ids_in_use:
        click.echo(
            _("None of the ids in these stores is an existing instance: is this the right tenant database?"), err=True
        )
        if yes:
            stop(_("Run it without --yes to remove all of it nevertheless"))
    if yes:
        return
    wanted = _("remove {number}", number=len(removable))
    question = _("This cannot be undone. Type '{wanted}' to continue", wanted=wanted)
    if click.prompt(question, default="", show_default=False) not in (wanted, f"remove {len(removable)}"):
        stop(_("Nothing was removed"))


def _show(found: Found, removable: list[Leftover]) -> None:
    going = {each.whose for each in removable}
    for each in found.leftovers:
        stays = "" if each.whose in going else _("  stays: too young, or of unknown age")
        size = f"{formatting.number(each.held.size_bytes / 1024)} KB"
        click.echo(f"{_shown(each, each.held.number):>16} {size:>12}  {_age(each):>10}  {_place(each)}{stays}")
    total = sum(each.held.number for each in removable)
    places = formatting.quantity(len(removable), "place")
    can_go = _("{things} in {places} can go", things=formatting.quantity(total, "thing"), places=places)
    click.echo(can_go if found.leftovers else _("Nothing is left over"))


def _place(leftover: Leftover) -> str:
    """Its place, with control characters escaped, and the name that it belongs to."""
    place = leftover.place if leftover.place.isprintable() else repr(leftover.place)
    return (
        _("{place} (name {name!r})", place=place, name=leftover.owner) if leftover.owner_is is OwnerIs.NAME else place
    )


def _counted(leftover: Leftover, number: int) -> str:
    """For the audit, which is in English."""
    with language.only_here(language.ENGLISH):
        return _shown(leftover, number)


def _shown(leftover: Leftover, number: int) -> str:
    match "files" if leftover.kind is leftovers.Kind.TRASH else leftover.kind.value:
        case "files":
            return formatting.quantity(number, "file")
        case "objects":
            return formatting.quantity(number, "object")
        case "keys":
            return formatting.quantity(number, "key")
        case "rows":
            return formatting.quantity(number, "row")
        case "fields":
            return formatting.quantity(number, "field")
        case _:
            return formatting.quantity(number, "name")


def _age(leftover: Leftover) -> str:
    if leftover.held.newest is None:
        return _("age?")
    hours = (datetime.now(UTC) - leftover.held.newest).total_seconds() / 3600
    return _("{days:,.0f} days", days=hours / 24) if hours >= 48 else _("{hours:,.1f} h", hours=hours)


def _row(leftover: Leftover, removable: bool, removed: int | None) -> dict[str, Any]:
    return {
        "kind": leftover.kind,
        "id": None if leftover.owner_is is OwnerIs.NAME else leftover.owner,
        "name": leftover.owner if leftover.owner_is is OwnerIs.NAME else None,
        "place": leftover.place,
        "number": leftover.held.number,
        "sizeBytes": leftover.held.size_bytes,
        "newest": leftover.held.newest,
        "removable": removable,
        "removed": removed,
    }
