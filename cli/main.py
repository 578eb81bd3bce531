"""`lethe`: the commands for an operator on the server."""

import click

from cli.commands import audit, deletions, evidence, export, instances, keys, receipt, setup, upkeep
from cli.language import lang_option
from cli.runtime import Commands
from shared.version import VERSION


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@lang_option
@click.version_option(VERSION, prog_name="lethe")
def main() -> None:
    """Lethe erases WhatsApp instances, completely, exactly once, and provably.

    \b
    Exit codes:
      0    done
      1    not possible, or not everything was done
      2    wrong usage, or a script without --yes
      3    a database or Redis cannot be reached
      4    settings are missing or wrong
      130  Ctrl-C
    """


for _command in (
    instances.delete,
    instances.logout,
    instances.preview,
    deletions.list_deletions,
    deletions.show,
    deletions.retry,
    deletions.run_now,
    deletions.cancel,
    upkeep.examine,
    upkeep.sweep,
    upkeep.throttle,
    upkeep.tombstones,
    keys.group,
    keys.show_webhook_key,
    receipt.group,
    evidence.attest,
    evidence.group,
    export.group,
    audit.group,
    setup.init,
    setup.show_config,
    setup.db,
    setup.demo,
    setup.completion,
):
    main.add_command(_command)
