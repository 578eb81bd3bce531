"""`lethe`: what an operator does on the server, without the API."""

import click

from cli import audit, deletions, instances, receipt, secrets, tombstones


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Lethe erases WhatsApp instances, completely, exactly once, and provably."""


for _command in (
    instances.delete,
    instances.logout,
    instances.preview,
    deletions.list_deletions,
    deletions.show,
    deletions.retry,
    deletions.cancel,
    receipt.group,
    tombstones.group,
    audit.group,
    secrets.show_webhook_key,
):
    main.add_command(_command)

if __name__ == "__main__":
    main()
