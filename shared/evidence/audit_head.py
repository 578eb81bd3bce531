"""Signed statements on the end of the audit: its last line, and the root of a tree over all lines up to it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from sqlalchemy import Engine, func, select

from shared import signing
from shared.audit import tree
from shared.audit.chain import Place
from shared.database import timing
from shared.database.connections import own_transaction, translate_errors
from shared.database.models import AuditHead, AuditLine
from shared.errors import LetheError
from shared.receipts import keys as receipt_keys
from shared.settings import Settings
from shared.stamps import outbox
from shared.stamps.outbox import Subject

KIND = "lethe.audit-head.v1"
_AT_ONCE = 5000


class AuditIncomplete(LetheError):
    """Lines of the audit are missing."""


@dataclass(frozen=True)
class Head:
    """What a signed statement says."""

    place: Place
    root: str


def end(engine: Engine) -> Place:
    """The last line; number 0 in an empty audit."""
    with own_transaction(engine) as connection:
        return Place(*connection.execute(select(AuditHead.seq, AuditHead.hash)).one())


def sign(engine: Engine, settings: Settings, head: Head) -> str:
    """Sign a statement on the audit up to this line."""
    at = timing.now(engine).astimezone(UTC).isoformat(timespec="milliseconds")
    said = {"kind": KIND, "seq": head.place.seq, "hash": head.place.hash, "root": head.root, "at": at}
    with own_transaction(engine) as connection:
        return signing.sign({"auditHead": said}, receipt_keys.current(connection, settings))


def proofs(engine: Engine, seq: int, wanted: Collection[int] = ()) -> tuple[str, dict[int, tree.Path]]:
    """The root of the tree over the lines up to this one, and the paths of the wanted lines."""
    query = select(AuditLine.hash).where(AuditLine.seq <= seq).order_by(AuditLine.seq)
    with translate_errors("the own database"), engine.connect() as connection:
        count = connection.scalar(select(func.count()).select_from(AuditLine).where(AuditLine.seq <= seq))
        if not seq or count != seq:
            raise AuditIncomplete
        return tree.build(connection.execution_options(yield_per=_AT_ONCE).scalars(query), wanted)


def enqueue_daily(engine: Engine, settings: Settings) -> None:
    """Ask for a stamp of the audit's head, once a day (UTC)."""
    day = timing.now(engine).astimezone(UTC).date().isoformat()
    if outbox.has_head_of(engine, day):
        return
    place = end(engine)
    if not place.seq:  # a new deployment
        return
    root, _ = proofs(engine, place.seq)
    document = sign(engine, settings, Head(place, root))
    with own_transaction(engine) as connection:
        outbox.enqueue(connection, settings, Subject.AUDIT_HEAD, day, document)


def read(document: Mapping[str, Any]) -> Head:
    """What a verified document says; raises InvalidDocument when it is no such statement."""
    content = document.get("auditHead")
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise signing.InvalidDocument("it is signed, but no head of an audit that this version knows")
    return Head(Place(int(content["seq"]), str(content["hash"])), str(content["root"]))
