"""Instances from the server: delete, log out and preview them, straight on the stores, without the API."""

import json
from pathlib import Path

import click

from cli import account, batch, consent, wording
from cli.batch import Order, Result
from cli.consent import Confirm
from cli.runtime import check_given_up, reached, stop
from shared.access.confirmation import WARNING
from shared.audit.entries import Action
from shared.errors import Refused
from shared.evolution.gateway import Stuck
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from tasks import pipeline
from tasks.context import Counts, Target
from tasks.orders import delete as delete_orders
from tasks.orders.caller import without_confirmation


def delete(name: str | None, instance_id: str | None, file: Path | None, wait: bool, yes: bool, as_json: bool) -> None:
    """Give the orders, after they were confirmed, and report them."""
    if sum(given is not None for given in (name, instance_id, file)) != 1:
        raise click.UsageError("Give one of NAME, --id and --from-file")
    wanted = batch.read(file) if file else [Order(name, instance_id)]
    with reached() as made:
        consent.check(made, yes=yes)
        confirm = _asking(made, wanted, many=file is not None, yes=yes)
        results: list[Result] = []
        try:
            batch.carry_out(made, account.caller(confirm), wanted, results, wait=wait)
        finally:  # what was accepted is said, whatever came after it
            batch.show(results, as_json=as_json)
    batch.end(results)


def _asking(made: Services, wanted: list[Order], *, many: bool, yes: bool) -> Confirm:
    """Who is asked before something goes that could be kept."""
    if yes:
        return without_confirmation
    return consent.to_many(made, [order.called for order in wanted]) if many else consent.to_one(made)


def logout(name: str, as_json: bool) -> None:
    """End the session, and say so."""
    with reached() as made:
        instance = _find(made, Action.LOGOUT, name, None)
        try:
            delete_orders.log_out(made, account.actor(), instance)
        except (delete_orders.UnknownInstance, Refused, Stuck) as error:
            stop(error.title)
    done = {"instanceId": instance.id, "status": "logged out"}
    click.echo(json.dumps(done) if as_json else f"{name!r} is logged out")


def preview(name: str | None, instance_id: str | None, given_up: tuple[str, ...], as_json: bool) -> None:
    """Count, step by step."""
    if (name is None) == (instance_id is None):
        raise click.UsageError("Give either NAME or --id")
    with reached() as made:
        check_given_up(made, given_up)
        instance = _find(made, Action.PREVIEW, name, instance_id)
        try:
            planned = pipeline.preview(Target(made, instance.id, instance.name, given_up))
        except Refused as error:
            stop(error.title)
    if as_json:
        facts = {"instanceId": instance.id, "instanceName": instance.name, "planned": planned, "warning": WARNING}
        click.echo(json.dumps(facts))
        return
    click.echo(f"{instance.name!r}  {instance.id}")
    for step, counts in planned.items():
        _show_step(step, counts)
    if not any(number for counts in planned.values() for number in counts.values()):
        click.echo("  there is nothing to remove")
    click.echo(WARNING)


def _find(made: Services, action: Action, name: str | None, instance_id: str | None) -> Instance:
    try:
        return delete_orders.find(made, account.caller(), action, name=name, instance_id=instance_id)
    except delete_orders.UnknownInstance as error:
        account.tell_refusal(made, action, "unknown instance")
        stop(error.title)


def _show_step(step: str, counts: Counts) -> None:
    for what, number in wording.ranked(counts):
        if number:
            click.echo(f"  {step:<15} {number:>10,}  {what}")
