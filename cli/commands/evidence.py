"""`lethe attest`: look for erased instances again, and sign what was found."""

from uuid import UUID

import click

from cli.runtime import NOT_POSSIBLE, connected, json_option, stop
from shared.translations.texts import _


@click.command()
@click.argument("deletion_id", type=click.UUID, required=False)
@click.option("--all", "all_of_them", is_flag=True, help="Every erased instance.")
@json_option
def attest(deletion_id: UUID | None, all_of_them: bool, as_json: bool) -> None:
    """Look into every store for an erased instance now, and sign what is found. Erases nothing.

    Exit code 1 when something was found. --json prints the signed documents, one a line.

    Example: lethe attest 3f0c...
    """
    if (deletion_id is None) != all_of_them:
        raise click.UsageError(_("The id of a deletion is needed, or --all"))

    from cli import account
    from shared.receipts.receipt import ReceiptChanged
    from tasks.orders import attest as orders

    found_something = False
    with connected() as made:
        erased = orders.find(made.own, deletion_id)
        if deletion_id is not None and not erased:
            stop(_("There is no receipt: the deletion does not exist, or has not succeeded"))
        try:
            for each in orders.attest(made, account.actor(), erased):
                found_something |= not each.is_gone
                click.echo(each.document if as_json else f"{each.deletion_id}  {each.summary}")
        except (orders.NoReceipt, ReceiptChanged) as error:
            stop(error.title)
    if found_something:
        if not as_json:
            click.echo(
                _("`lethe tombstones replay` erases instances that are back, `lethe sweep` other data"), err=True
            )
        raise SystemExit(NOT_POSSIBLE)
