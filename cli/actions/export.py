"""What `lethe export` does."""

import sys
from pathlib import Path
from typing import Any

import click

from cli import account
from cli.runtime import connected, output, print_json, stop
from shared.archives import manifest
from shared.translations import sentences
from shared.translations.texts import _, ngettext


def create(
    name: str | None, instance_id: str | None, place: str, with_secrets: bool, recipient: str | None, as_json: bool
) -> None:
    """Write an archive, with a progress bar on a terminal."""
    if (name is None) == (instance_id is None):
        raise click.UsageError(_("Give the instance's name, or its id with --id"))
    if recipient is not None:
        _check_recipient(recipient)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from shared.errors import Refused
    from tasks.orders import export

    with connected() as made:
        instance = made.tenant.find(name=name, instance_id=instance_id)
        if instance is None:
            stop(_('The "{called}" instance does not exist', called=name if name is not None else instance_id))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task(_("exporting"), total=export.count(made, instance))
            try:
                digest, content = export.run(
                    made,
                    account.actor(),
                    export.Wanted(instance, place, with_secrets, recipient),
                    lambda stream, items: bar.update(task, advance=items, description=stream),
                )
            except Refused as error:
                stop(sentences.translated(error.title))
    _show(place, digest, content, as_json=as_json)


def _check_recipient(key: str) -> None:
    from shared.settings import checks

    try:
        checks.age_recipient(key)
    except ValueError as error:
        raise click.UsageError(f"--recipient: {error}") from None


def verify(folder: Path, expected: str | None, *, as_json: bool) -> None:
    """Check each part against the manifest, and the manifest against the hash that was given."""
    try:
        digest, content = manifest.verify(folder)
        if expected is not None and digest != expected.strip().lower():
            raise manifest.NotWhole(f"the manifest is another one: its SHA-256 is {digest}")
    except manifest.NotWhole as error:
        if as_json:
            print_json({"valid": False, "reason": error.title})
        stop(_("Not valid: {reason}", reason=sentences.translated(error.title)))
    output(
        {"valid": True, **_facts(digest, content)},
        _("Valid: {what}", what=_sentence(content)) + f"\nmanifest {digest}",
        as_json=as_json,
    )


def _show(place: str, digest: str, content: dict[str, Any], *, as_json: bool) -> None:
    left = "" if content["withSecrets"] else "\n" + _("Credentials were left out: --with-secrets has them too")
    text = f"{place.rstrip('/')}/{content['archive']}: {_sentence(content)}\nmanifest {digest}{left}"
    output({"place": place, **_facts(digest, content)}, text, as_json=as_json)


def _facts(digest: str, content: dict[str, Any]) -> dict[str, Any]:
    named = ("archive", "instanceId", "deletionId", "closedAt", "withSecrets", "encryptedFor")
    return {**{name: content[name] for name in named}, "listed": manifest.totals(content), "manifest": digest}


def _sentence(content: dict[str, Any]) -> str:
    counts = ", ".join(f"{what} {number:,}" for what, number in manifest.totals(content).items()) or _("nothing")
    size = sum(part["bytes"] for part in content["parts"])
    number = len(content["parts"])
    return ngettext(
        "{n:,} part, {size:,} bytes: {counts}",
        "{n:,} parts, {size:,} bytes: {counts}",
        number,
        n=number,
        size=size,
        counts=counts,
    )
