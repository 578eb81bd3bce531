"""`lethe audit`: list lines, verify the chain."""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from cli.runtime import connected, json_option, print_json, stop
from shared import formatting
from shared.audit.entries import Action, Decision
from shared.translations import sentences
from shared.translations.texts import _

if TYPE_CHECKING:
    from shared.database.models import AuditLine

_WHEN = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
_ANCHOR = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


@click.group("audit")
def group() -> None:
    """The audit: who did what, when, and with which result."""


@group.command("list")
@click.option("--since", type=_WHEN, help="Not before this time; in the server's time zone, unless it has its own.")
@click.option("--until", type=_WHEN, help="Before this time.")
@click.option("--action", type=click.Choice([each.value for each in Action]), help="Only this action.")
@click.option("--decision", type=click.Choice([each.value for each in Decision]), help="Only this decision or outcome.")
@click.option("--key", "key_id", metavar="ID", help="Only what this key did.")
@click.option("--deletion", "deletion_id", type=click.UUID, help="Only this deletion.")
@click.option("--instance", "instance_id", metavar="ID", help="Only this instance.")
@click.option("--cursor", type=click.IntRange(1), help="Only lines before this one.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@json_option
def list_lines(since: datetime | None, until: datetime | None, as_json: bool, **others: Any) -> None:
    """List the newest lines.

    Example: lethe audit list --decision refused --since 2026-01-31
    """
    from cli import account
    from shared.audit import reads as audit_reads
    from shared.audit import search as audit_search
    from shared.database.models import AuditLine

    filters = audit_search.Filters(since=since and since.astimezone(), until=until and until.astimezone(), **others)
    with connected() as made:
        page = audit_search.search(made.own, filters)
        audit_reads.record_audit_read(made.own, account.actor())
    if as_json:
        columns = [column.key for column in AuditLine.__table__.columns]
        lines = [{column: getattr(line, column) for column in columns} for line in page.lines]
        print_json({"lines": lines, "next": page.next})
        return
    if not page.lines:
        click.echo(_("No line of the audit matches"), err=True)
        return
    heads = _("seq"), _("at"), _("action, decision"), _("who, about")
    click.echo("{:>8}  {:<24}  {:<18}  {}".format(*heads))
    for line in page.lines:
        click.echo(_shown(line))
    if page.next:
        click.echo(_("There are more: --cursor {next}", next=page.next), err=True)


@group.command()
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    metavar="SEQ:HASH",
    help="A line that you have stored elsewhere; repeat for more.",
)
@json_option
def verify(anchors: tuple[str, ...], as_json: bool) -> None:
    """Verify the whole chain; exit code 1 with the first line that is wrong.

    Store the line that it prints. Given as --anchor later, it also proves that the chain was not rewritten.

    Example: lethe audit verify --anchor 1042:5f1c...
    """
    matches = [_ANCHOR.fullmatch(anchor) for anchor in anchors]
    if None in matches:
        raise click.BadParameter(_("SEQ:HASH is needed, as `lethe audit verify` prints it"), param_hint="--anchor")

    from shared.audit import chain

    with connected() as made:
        verdict = chain.verify(made.own, tuple(chain.Place(int(match[1]), match[2]) for match in matches if match))
    head = f"{verdict.head.seq}:{verdict.head.hash}"
    if as_json:
        print_json({"whole": not verdict.broken, "lines": verdict.lines, "head": head, "broken": verdict.broken})
    if verdict.broken:
        stop(_("The audit is broken: {broken}", broken=sentences.translated(verdict.broken)))
    if not as_json:
        click.echo(
            _(
                "The audit is whole: {lines}, the last one is {head}",
                lines=formatting.quantity(verdict.lines, "line"),
                head=head,
            )
        )


def _shown(line: "AuditLine") -> str:
    who = " ".join(filter(None, (line.role, line.key_id, line.address)))
    what = f"{line.action} {line.decision}" + (f" x{line.times}" if line.times > 1 else "")
    about = " ".join(filter(None, (line.instance_id, str(line.deletion_id or ""), line.reason)))
    return f"{line.seq:>8}  {formatting.local_time(line.at)}  {what:<18}  {who}  {about}".rstrip()
