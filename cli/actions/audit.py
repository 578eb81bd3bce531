"""The audit on the server: read it, and check that nothing in it was changed, removed or moved."""

import json
import re
from datetime import datetime
from typing import Any
from uuid import UUID

import click

from cli import account, wording
from cli.runtime import reached, stop
from shared.audit import chain
from shared.audit import reads as audit_reads
from shared.audit import search as audit_search
from shared.audit.chain import Place
from shared.audit.entries import Action, Decision
from shared.audit.search import Filters
from shared.database.models import AuditLine

_PLACE = re.compile(r"(\d{1,18}):([0-9a-f]{64})")
_WHEN = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


def list_lines(
    since: datetime | None,
    until: datetime | None,
    action: str | None,
    decision: str | None,
    key_id: str | None,
    deletion_id: UUID | None,
    instance_id: str | None,
    cursor: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show the newest lines, and have it in the audit that they were read."""
    wanted = Filters(
        since=since and since.astimezone(),
        until=until and until.astimezone(),
        action=Action(action) if action else None,
        decision=Decision(decision) if decision else None,
        key_id=key_id,
        deletion_id=deletion_id,
        instance_id=instance_id,
        cursor=cursor,
        limit=limit,
    )
    with reached() as made:
        page = audit_search.search(made.own, wanted)
        audit_reads.record_audit_read(made.own, account.actor())
    if as_json:
        click.echo(json.dumps({"lines": [_whole(line) for line in page.lines], "next": page.next}))
        return
    if not page.lines:
        click.echo("No line of the audit is like that", err=True)
        return
    click.echo(f"{'seq':>8}  {'at':<24}  {'action, decision':<18}  who, about")
    for line in page.lines:
        click.echo(_shown(line))
    if page.next:
        click.echo(f"There are more: --cursor {page.next}", err=True)


def verify(anchors: tuple[str, ...], as_json: bool) -> None:
    """Walk the chain, and say what was found."""
    kept = tuple(_place(anchor) for anchor in anchors)
    with reached() as made:
        verdict = chain.verify(made.own, kept)
    head = f"{verdict.head.seq}:{verdict.head.hash}"
    if as_json:
        found = {"whole": not verdict.broken, "lines": verdict.lines, "head": head, "broken": verdict.broken}
        click.echo(json.dumps(found))
    if verdict.broken:
        stop(f"The audit is broken: {verdict.broken}")
    if not as_json:
        click.echo(f"The audit is whole: {wording.counted(verdict.lines, 'line')}, the last one is {head}")


def _place(anchor: str) -> Place:
    match = _PLACE.fullmatch(anchor)
    if match is None:
        raise click.BadParameter("SEQ:HASH is needed, as `lethe audit verify` prints it", param_hint="--anchor")
    return Place(int(match[1]), match[2])


def _whole(line: AuditLine) -> dict[str, Any]:
    values = {column.key: getattr(line, column.key) for column in AuditLine.__table__.columns}
    return values | {"at": line.at.isoformat(), "deletion_id": str(line.deletion_id) if line.deletion_id else None}


def _shown(line: AuditLine) -> str:
    who = " ".join(filter(None, (line.role, line.key_id, line.address)))
    what = f"{line.action} {line.decision}" + (f" x{line.times}" if line.times > 1 else "")
    about = " ".join(filter(None, (line.instance_id, str(line.deletion_id or ""), line.reason)))
    return f"{line.seq:>8}  {wording.moment(line.at)}  {what:<18}  {who}  {about}".rstrip()
