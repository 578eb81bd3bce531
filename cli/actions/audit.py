"""What `lethe audit` does: lists lines, and verifies the chain."""

import re
from datetime import datetime
from typing import Any

import click

from cli import account
from cli.runtime import connected, print_json, stop
from shared import formatting
from shared.audit import chain
from shared.audit import reads as audit_reads
from shared.audit import search as audit_search
from shared.audit.chain import Place
from shared.audit.search import Filters
from shared.database.models import AuditLine

_ANCHOR = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


def list_lines(since: datetime | None, until: datetime | None, as_json: bool, **others: Any) -> None:
    """Show the newest lines that match the filters; the audit gets a line that they were read."""
    filters = Filters(since=since and since.astimezone(), until=until and until.astimezone(), **others)
    with connected() as made:
        page = audit_search.search(made.own, filters)
        audit_reads.record_audit_read(made.own, account.actor())
    if as_json:
        columns = [column.key for column in AuditLine.__table__.columns]
        lines = [{column: getattr(line, column) for column in columns} for line in page.lines]
        print_json({"lines": lines, "next": page.next})
        return
    if not page.lines:
        click.echo("No line of the audit matches", err=True)
        return
    click.echo(f"{'seq':>8}  {'at':<24}  {'action, decision':<18}  who, about")
    for line in page.lines:
        click.echo(_shown(line))
    if page.next:
        click.echo(f"There are more: --cursor {page.next}", err=True)


def verify(anchors: tuple[str, ...], as_json: bool) -> None:
    """Verify the whole chain; ends the command when it is broken."""
    kept = tuple(_anchor(anchor) for anchor in anchors)
    with connected() as made:
        verdict = chain.verify(made.own, kept)
    head = f"{verdict.head.seq}:{verdict.head.hash}"
    if as_json:
        found = {"whole": not verdict.broken, "lines": verdict.lines, "head": head, "broken": verdict.broken}
        print_json(found)
    if verdict.broken:
        stop(f"The audit is broken: {verdict.broken}")
    if not as_json:
        click.echo(f"The audit is whole: {formatting.quantity(verdict.lines, 'line')}, the last one is {head}")


def _anchor(text: str) -> Place:
    match = _ANCHOR.fullmatch(text)
    if match is None:
        raise click.BadParameter("SEQ:HASH is needed, as `lethe audit verify` prints it", param_hint="--anchor")
    return Place(int(match[1]), match[2])


def _shown(line: AuditLine) -> str:
    who = " ".join(filter(None, (line.role, line.key_id, line.address)))
    what = f"{line.action} {line.decision}" + (f" x{line.times}" if line.times > 1 else "")
    about = " ".join(filter(None, (line.instance_id, str(line.deletion_id or ""), line.reason)))
    return f"{line.seq:>8}  {formatting.local_time(line.at)}  {what:<18}  {who}  {about}".rstrip()
