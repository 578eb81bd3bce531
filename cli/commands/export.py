"""`lethe export`: write an archive of an instance, and verify archives."""

from pathlib import Path
from typing import Any

import click

from cli.runtime import json_option


class _Exports(click.Group):
    """`lethe export NAME` writes an archive: what is no command is the name of an instance."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["create", *args]
        return super().parse_args(ctx, args)


@click.group("export", cls=_Exports)
def group() -> None:
    """Write all that an instance has into an archive; verify archives.

    `lethe export NAME` is short for `lethe export create NAME`.
    """


@group.command()
@click.argument("name", required=False)
@click.option("--id", "instance_id", metavar="ID", help="The instance's id, for one without a usable name.")
@click.option("--to", "place", required=True, metavar="FOLDER|s3://BUCKET/PREFIX", help="Where the archive goes.")
@click.option("--with-secrets", is_flag=True, help="Also session credentials, tokens and keys of bots.")
@click.option("--recipient", metavar="AGE_KEY", help="Encrypt it for this age public key (age1...).")
@json_option
def create(**given: Any) -> None:
    """Write an archive: rows as JSON lines, files and objects, and a manifest with the SHA-256 of each part.

    It is a folder named after the instance's id. Repeat the command after an interruption: it goes on.

    Example: lethe export create my-instance --to /backup/exports
    """
    from cli.actions import export

    export.create(**given)


@group.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--sha256", "expected", metavar="HASH", help="What the manifest's SHA-256 has to be, as the receipt has it."
)
@json_option
def verify(folder: Path, expected: str | None, as_json: bool) -> None:
    """Verify an archive: exit code 0 when no byte was changed. Needs no settings, and no network.

    Example: lethe export verify /backup/exports/5f0c...
    """
    from cli.actions import export

    export.verify(folder, expected, as_json=as_json)
