"""What `lethe delete --from-file` and `--older-than` do: many deletions with one confirmation, and their progress."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import click
from rich.console import Console

from cli import account, confirmation, orders, watch_many
from cli.orders import ALREADY_DELETED, Result
from cli.runtime import INTERRUPTED, connected, stop
from shared import formatting
from shared.access.confirmation import WARNING
from shared.database.models import UNDER_WAY, DeletionStatus
from shared.deletions import display
from shared.errors import LetheError, Refused
from shared.evolution.rows import listing
from shared.services import Services
from shared.translations import sentences
from shared.translations.marks import N_
from shared.translations.texts import _
from tasks.orders import bulk, bulk_list, bulk_preview
from tasks.orders.bulk_list import Meant, Outcome
from tasks.orders.caller import Caller


def delete_listed(
    file: Path, not_before: datetime | None, *, exports: bool, wait: bool | None, yes: bool, as_json: bool
) -> None:
    """Delete the instances of a file of names, after their number was typed."""
    names = orders.read_names(file)
    with connected() as made:
        confirmation.check_possible(made, yes=yes)
        _delete(_Selection(made, names=names, exports=exports), not_before, wait=wait, yes=yes, as_json=as_json)


def delete_disconnected(
    length: timedelta, not_before: datetime | None, *, exports: bool, wait: bool | None, yes: bool, as_json: bool
) -> None:
    """Delete the instances that have been disconnected for so long, after their number was typed."""
    with connected() as made:
        confirmation.check_possible(made, yes=yes)
        found = listing.find_disconnected(made.tenant, length.total_seconds())
        now = datetime.now(UTC)
        for each in found:
            click.echo(f"{each.id:<36}  {formatting.time_ago(each.since, now)}  {each.name!r}", err=True)
        if not found:
            click.echo(_("No instance has been disconnected for so long"), err=True)
            orders.show([], as_json=as_json)
            return
        _delete(
            _Selection(made, instance_ids=[each.id for each in found], exports=exports),
            not_before,
            wait=wait,
            yes=yes,
            as_json=as_json,
        )


class _Selection:
    """The instances that are meant, by names or by ids."""

    def __init__(
        self,
        made: Services,
        *,
        names: Sequence[str] | None = None,
        instance_ids: Sequence[str] = (),
        exports: bool = False,
    ) -> None:
        self.made, self.caller = made, account.caller(exports=exports)
        self.by_name = names is not None
        self._names, self._instance_ids = names, instance_ids

    def look(self) -> list[Meant]:
        """What they mean now."""
        return bulk_list.look(self.made, self.caller, names=self._names, instance_ids=self._instance_ids)


def _delete(selection: _Selection, not_before: datetime | None, *, wait: bool | None, yes: bool, as_json: bool) -> None:
    made = selection.made
    try:
        bulk.check(made, selection.caller, not_before)
    except Refused as error:
        stop(sentences.translated(error.title))
    meant = selection.look()
    console = Console(highlight=False)
    if wait is None:
        wait = console.is_terminal and not as_json
    caller, changed = selection.caller, list[Meant]()
    if not yes and (shown := {each.instance_id for each in meant if _is_whole(each)}):
        _show(selection, meant)
        confirmation.ask_for_number(len(shown))
        caller = replace(caller, confirm_list=lambda _: account.confirmation())
        meant = selection.look()  # time has passed
        changed = [each for each in meant if _is_whole(each) and each.instance_id not in shown]
        meant = [each for each in meant if each not in changed]
    ordered = _submit(selection, caller, meant, not_before)
    results = [_as_result(selection, each, meant, ordered.begins_at) for each in ordered.results]
    results += [Result(each.name, None, "refused", N_("It was created after the question")) for each in changed]
    results = _with_earlier(made, results) if selection.by_name else results
    interrupted = False
    try:
        results = watch_many.follow(made, results, console) if wait else results
    except KeyboardInterrupt:
        interrupted = True
    finally:  # accepted orders are reported, also after an error
        _report(results, ordered.bulk_id, console, as_json=as_json, interrupted=interrupted)
    if interrupted:
        stop(_("Interrupted. The accepted deletions go on"), INTERRUPTED)
    orders.check_all_done(results)


def _is_whole(each: Meant) -> bool:
    """Whether there is an instance to lose; a deletion that failed on the way has left only a part."""
    return each.instance is not None and each.result.outcome is Outcome.FOUND


def _show(selection: _Selection, meant: Sequence[Meant]) -> None:
    """What would be deleted, with sums, on standard error."""
    whole = [each for each in meant if _is_whole(each)]
    if selection.by_name:
        for each in whole:
            click.echo(f"{each.instance_id:<36}  {each.name!r}", err=True)
    try:
        found = bulk_preview.preview(selection.made, selection.caller, meant)
    except LetheError as error:  # it is accepted all the same, and waits for what cannot be reached
        click.echo(_("The sums could not be counted: {why}", why=sentences.translated(error.title)), err=True)
    else:
        for step, counts in found.planned.items():
            if sum(counts.values()):
                click.echo(f"  {step:<15} {formatting.counts_in_line(counts)}", err=True)
        for sentence in found.not_counted:
            click.echo(_("  not counted: {what}", what=sentences.translated(sentence)), err=True)
        for called, why in found.refused.items():
            click.echo(_("  cannot be deleted: {name!r}, {why}", name=called, why=sentences.translated(why)), err=True)
    missing = [each.called for each in meant if each.result.outcome is Outcome.UNKNOWN]
    names = formatting.quantity(len(meant), "name")
    summary = _("{names}; instances that exist now: {there}", names=names, there=len(whole))
    summary += _("; unknown: {names}", names=formatting.quoted(missing)) if missing else ""
    click.echo(f"{summary}. {sentences.translated(WARNING)}", err=True)


def _submit(selection: _Selection, caller: Caller, meant: Sequence[Meant], not_before: datetime | None) -> bulk.Ordered:
    try:
        return bulk.submit(selection.made, caller, meant, not_before, only_disconnected=not selection.by_name)
    except KeyboardInterrupt:
        stop(_("Interrupted. The deletions that were accepted so far go on; `lethe list` shows them"), INTERRUPTED)


def _as_result(
    selection: _Selection, result: bulk_list.Result, meant: Sequence[Meant], begins_at: datetime | None
) -> Result:
    of = next(each for each in meant if each.called == result.called)
    called = result.called if selection.by_name else of.name or result.called
    deletion_id = str(result.deletion_id) if result.deletion_id else None
    if result.outcome is Outcome.ACCEPTED:
        is_new = begins_at is not None and of.unfinished is None
        status = DeletionStatus.SCHEDULED if is_new else DeletionStatus.QUEUED
        return Result(called, deletion_id, status.value, not_before=begins_at if is_new else None)
    if result.outcome is Outcome.BEING_DELETED and result.deletion_id:
        now = display.load_status(selection.made.own, result.deletion_id)
        return Result(called, deletion_id, now.status.value, result.reason, not_before=now.not_before)
    return Result(called, deletion_id, "refused", result.reason, exists=result.outcome is not Outcome.UNKNOWN)


def _with_earlier(made: Services, results: Sequence[Result]) -> list[Result]:
    """The same, where a name without an instance is that of one that Lethe has deleted."""
    earlier = display.newest_succeeded(made.own, [each.called for each in results if not each.exists])
    return [
        replace(each, deletion_id=str(earlier[each.called]), status=ALREADY_DELETED, reason=None, exists=True)
        if each.called in earlier
        else each
        for each in results
    ]


def _report(
    results: Sequence[Result], bulk_id: UUID | None, console: Console, *, as_json: bool, interrupted: bool
) -> None:
    """A line for each (at a terminal, for each that is not done), and how many have which status."""
    quiet = console.is_terminal and not as_json
    orders.show([each for each in results if not (quiet and each.good)], as_json=as_json)
    counts = Counter(each.status if each.exists else Outcome.UNKNOWN.value for each in results)
    if not interrupted:  # else it is old
        click.echo(f"{formatting.quantity(len(results), 'name')}: {formatting.counts_in_line(counts)}", err=True)
    if bulk_id and counts.keys() & {DeletionStatus.SCHEDULED, *UNDER_WAY}:
        click.echo(_("`lethe list --bulk {id}` shows how far they are", id=bulk_id), err=True)
