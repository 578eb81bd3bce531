"""What `lethe delete`, `logout` and `preview` do, without the API."""

from datetime import datetime
from pathlib import Path

import click

from cli import account, confirmation, orders
from cli.confirmation import Confirm
from cli.orders import Order, Result
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
    not_before: datetime | None,
    wait: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Submit the orders after they were confirmed, and report the results."""
    if sum(given is not None for given in (name, instance_id, file)) != 1:
        raise click.UsageError(_("Give one of NAME, --id and --from-file"))
    wanted = orders.read_names(file) if file else [Order(name, instance_id)]
    with connected() as made:
        confirmation.check_possible(made, yes=yes)
        confirm = _confirm(made, wanted, many=file is not None, yes=yes)
        results: list[Result] = []
        try:
            orders.submit_all(made, account.caller(confirm), wanted, results, wait=wait, not_before=not_before)
        finally:  # accepted orders are reported, also after an error
            orders.show(results, as_json=as_json)
    orders.check_all_done(results)


def _confirm(made: Services, wanted: list[Order], *, many: bool, yes: bool) -> Confirm:
    if yes:
        return without_confirmation
    return confirmation.of_many(made, [order.called for order in wanted]) if many else confirmation.of_one(made)


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
