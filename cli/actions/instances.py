"""What `lethe delete`, `logout` and `preview` do, without the API."""

from datetime import datetime, timedelta
from pathlib import Path

import click

from cli import account, confirmation, orders
from cli.actions import many
from cli.orders import Order
from cli.runtime import check_without_gateways, connected, output, print_json, stop
from shared import formatting
from shared.access.confirmation import WARNING
from shared.audit.entries import Action, Decision
from shared.errors import Refused
from shared.evolution.gateway import Stuck
from shared.evolution.rows import triggers
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from shared.translations import sentences
from shared.translations.texts import _
from tasks import pipeline
from tasks.context import Target
from tasks.orders import delete as delete_orders
from tasks.orders.caller import without_confirmation


def delete(
    name: str | None,
    instance_id: str | None,
    file: Path | None,
    older_than: timedelta | None,
    state: str | None,
    not_before: datetime | None,
    exports: bool,
    wait: bool | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Submit the orders after they were confirmed, and report the results."""
    if sum(given is not None for given in (name, instance_id, file, older_than)) != 1:
        raise click.UsageError(_("Give one of NAME, --id, --from-file and --older-than"))
    if (older_than is None) != (state is None):
        raise click.UsageError(_("--older-than goes with --state close"))
    if file is not None:
        many.delete_listed(file, not_before, exports=exports, wait=wait, yes=yes, as_json=as_json)
    elif older_than is not None:
        many.delete_disconnected(older_than, not_before, exports=exports, wait=wait, yes=yes, as_json=as_json)
    else:
        _delete_one(Order(name, instance_id), not_before, exports=exports, wait=bool(wait), yes=yes, as_json=as_json)


def _delete_one(
    order: Order, not_before: datetime | None, *, exports: bool, wait: bool, yes: bool, as_json: bool
) -> None:
    with connected() as made:
        confirmation.check_possible(made, yes=yes)
        confirmation.check_moment(made, not_before)
        confirm = without_confirmation if yes else confirmation.of_one(made)
        results = [orders.submit(made, account.caller(confirm, exports=exports), order, not_before, wait=wait)]
    orders.show(results, as_json=as_json)
    orders.check_all_done(results)


def logout(name: str, as_json: bool) -> None:
    """End the session at every gateway."""
    with connected() as made:
        instance = _find(made, Action.LOGOUT, name, None)
        try:
            delete_orders.log_out(made, account.actor(), instance)
        except (delete_orders.UnknownInstance, Refused, Stuck) as error:
            stop(sentences.translated(error.title))
    output({"instanceId": instance.id, "status": "logged out"}, _("{name!r} is logged out", name=name), as_json=as_json)


def preview(name: str | None, instance_id: str | None, without_gateways: tuple[str, ...], as_json: bool) -> None:
    """Count what each step would remove."""
    if (name is None) == (instance_id is None):
        raise click.UsageError(_("Give either NAME or --id"))
    with connected() as made:
        check_without_gateways(made, without_gateways)
        instance = _find(made, Action.PREVIEW, name, instance_id)
        try:
            target = Target(made, instance.id, instance.name, without_gateways)
            planned, found = pipeline.preview(target), pipeline.coverage_of(target)
            always = made.settings.row_triggers == "always"
            kept = triggers.kept_for_many(made.tenant, planned["delete_records"], always=always)
        except Refused as error:
            stop(sentences.translated(error.title))
    if as_json:
        facts = {"instanceId": instance.id, "instanceName": instance.name, "planned": planned, "keptTriggers": kept}
        print_json({**facts, "notCovered": found.not_covered, "notRehearsed": found.not_rehearsed, "warning": WARNING})
        return
    click.echo(f"{instance.name!r}  {instance.id}")
    for step, counts in planned.items():
        for what, number in formatting.largest_first(counts):
            if number:
                click.echo(f"  {step:<15} {formatting.number(number):>10}  {what}")
    if not any(number for counts in planned.values() for number in counts.values()):
        click.echo(_("  there is nothing to remove"))
    for table, why in kept.items():
        click.echo(
            _("  {table} goes with its triggers, which takes longer: {why}", table=table, why=sentences.translated(why))
        )
    for sentence in found.not_covered:
        click.echo(_("  stays: {sentence}", sentence=sentences.translated(sentence)))
    for sentence in found.not_rehearsed:
        click.echo(f"  {sentences.translated(sentence)}")
    click.echo(sentences.translated(WARNING))


def _find(made: Services, action: Action, name: str | None, instance_id: str | None) -> Instance:
    try:
        return delete_orders.find(made, account.caller(), action, name=name, instance_id=instance_id)
    except delete_orders.UnknownInstance as error:
        account.audit(made, action, Decision.REFUSED, "unknown instance")
        stop(sentences.translated(error.title))
