"""Instances: delete, log out, preview."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cli.commands.keys import Lifetime
from cli.runtime import json_option, without_gateway_option
from shared.translations.texts import _


class _Moment(click.ParamType[datetime]):
    """A time with its offset."""

    name = "moment"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time, in ISO 8601."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail(_("give a time with its offset, such as 2026-12-24T08:00-03:00"), param, ctx)
        return moment


@click.command()
@click.argument("name", required=False)
@click.option("--id", "instance_id", metavar="ID", help="The instance's id, when it has no usable name.")
@click.option(
    "--from-file",
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="One name per line, exactly as it is; - is standard input. There are no comments: a name may begin with #.",
)
@click.option(
    "--older-than",
    type=Lifetime(),
    metavar="90d",
    help="All instances that have been disconnected for so long. Where Evolution does not know since when, it stays.",
)
@click.option("--state", type=click.Choice(["close"]), help="With --older-than: the state of the connection.")
@click.option("--export", "exports", is_flag=True, help="Write an export to LETHE_EXPORT_TO first.")
@click.option(
    "--wait/--no-wait",
    default=None,
    help="Wait until it ends; Ctrl-C ends the waiting, not the deletion. Of many, the default at a terminal.",
)
@click.option(
    "--not-before",
    type=_Moment(),
    metavar="MOMENT",
    help="Begin at this moment, such as 2026-12-24T08:00-03:00, at most 90 days ahead; until then it can be cancelled.",
)
@click.option("--yes", is_flag=True, help="Do not ask; needed without a terminal.")
@json_option
def delete(**given: Any) -> None:
    """Submit the deletion of an instance.

    The command asks you to type the instance's name first; with --from-file or --older-than, it shows the instances
    with sums and asks for their number. There is no rate limit. The audit names your operating-system user. When
    LETHE_CONFIRMATION is token or totp, --yes is not enough. Exit code 1 when a deletion was refused, or with --wait
    did not succeed.

    Example: lethe delete --older-than 90d --state close
    """
    from cli.actions import instances

    instances.delete(**given)


@click.command()
@click.argument("name")
@json_option
def logout(**given: Any) -> None:
    """End an instance's WhatsApp session; nothing is deleted.

    Example: lethe logout my-instance
    """
    from cli.actions import instances

    instances.logout(**given)


@click.command()
@click.argument("name", required=False)
@click.option("--id", "instance_id", metavar="ID", help="The instance's id, for one without a usable name.")
@without_gateway_option
@json_option
def preview(**given: Any) -> None:
    """Count what a deletion would remove; changes nothing.

    Example: lethe preview my-instance
    """
    from cli.actions import instances

    instances.preview(**given)
