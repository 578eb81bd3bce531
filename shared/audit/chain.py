"""The audit: who did what, when, and how it ended; lines that are only ever added, each sealed with the one before."""

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

import rfc8785
from sqlalchemy import Connection, Engine, select, text

from shared.audit.actions import Action as Action
from shared.audit.actions import Decision as Decision
from shared.audit.entries import Entry, products
from shared.database.connections import translate_errors
from shared.database.models import AuditHead, AuditLine

START = "0" * 64  # what the first line has for the hash of the one before
_AT_ONCE = 1000
_SEALED = (
    "seq", "at", "action", "decision", "role", "key_id", "address", "user_agent", "request_id", "instance_id",
    "deletion_id", "reason", "times", "previous",
)  # fmt: skip

_BLANK = uuid4().hex  # nobody can guess it, so no value has it
_APPEND = text("""
WITH head AS (
    SELECT seq + 1 AS seq, hash AS previous, clock_timestamp() AS at FROM audit_head FOR UPDATE
), line AS (
    SELECT seq, at, previous, encode(sha256(convert_to(
        :before_at || to_json(to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24\\:MI\\:SS.US"+00\\:00"'))
        || :before_previous || to_json(previous) || :before_seq || to_json(seq) || :rest, 'UTF8')), 'hex') AS hash
    FROM head
), written AS (
    INSERT INTO audit (seq, at, previous, hash, action, decision, role, key_id, address, user_agent, request_id,
        instance_id, deletion_id, reason, times)
    SELECT seq, at, previous, hash, :action, :decision, :role, :key_id, :address, :user_agent, :request_id,
        :instance_id, :deletion_id, :reason, :times FROM line
)
UPDATE audit_head SET seq = line.seq, hash = line.hash FROM line RETURNING line.seq, line.hash""")


@dataclass(frozen=True)
class Place:
    """A line's place in the chain, as a receipt quotes it."""

    seq: int
    hash: str


@dataclass(frozen=True)
class ChainCheck:
    """How many lines hold, where the chain ends, and the first place where it does not hold."""

    lines: int
    head: Place
    broken: str | None


def append(connection: Connection, *entries: Entry) -> Place:
    """Add lines, as the last statement of the transaction that did what they say; returns the last one's place.

    The head's row is the lock: writers take turns from here to their commit, so that the chain has one order. Last, so
    that this is short, and so that nobody who holds it waits for a deletion's row. One statement a line, in which the
    database hashes: nobody waits while a process that holds the lock does anything else.
    """
    rows = map(_row, entries)
    places = [Place(*connection.execute(_APPEND, row | _pieces(row)).one()) for row in rows]
    return places[-1]


def _row(entry: Entry) -> dict[str, Any]:
    row = {field.name: getattr(entry, field.name) for field in fields(entry) if field.name != "actor"}
    row |= asdict(entry.actor) | {"action": entry.action.value, "decision": entry.decision.value}
    return row | {"user_agent": products(entry.actor.user_agent)}


def _pieces(row: dict[str, Any]) -> dict[str, str]:
    """What digest() would hash, but for what only the database knows: four pieces, for three values between them."""
    text = _canonical(row | dict.fromkeys(("at", "previous", "seq"), _BLANK))
    return dict(zip(("before_at", "before_previous", "before_seq", "rest"), text.split(f'"{_BLANK}"'), strict=True))


def digest(row: dict[str, Any]) -> str:
    """SHA-256 of a line's canonical JSON (RFC 8785), so that anybody can compute it again."""
    return sha256(_canonical(row).encode()).hexdigest()


def _canonical(row: dict[str, Any]) -> str:
    return rfc8785.dumps({name: _plain(row[name]) for name in _SEALED}).decode()


def _plain(value: Any) -> str | int | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value if value is None or isinstance(value, int) else str(value)


def verify(engine: Engine, anchors: tuple[Place, ...] = ()) -> ChainCheck:
    """Walk the chain from its start; finds the first line that was changed, removed or moved.

    Who may write everything can compute all hashes anew, the head's too. Only a place that was kept elsewhere (an
    anchor: a receipt, or what an earlier look has printed) shows that, or that the whole database is an older one.
    """
    seen, broken = Place(0, START), None
    kept = {anchor.seq: anchor.hash for anchor in anchors}
    with translate_errors("the own database"), engine.connect() as connection:
        snapshot = connection.execution_options(isolation_level="REPEATABLE READ", yield_per=_AT_ONCE)
        head = Place(*snapshot.execute(select(AuditHead.seq, AuditHead.hash)).one())
        for row in snapshot.execute(select(AuditLine.__table__).order_by(AuditLine.seq)).mappings():
            broken = _fault(dict(row), seen) or _against(kept, Place(row["seq"], row["hash"]))
            if broken:
                return ChainCheck(seen.seq, head, broken)
            seen = Place(row["seq"], row["hash"])
    if seen != head:
        broken = f"the chain ends at line {seen.seq}, but its head is line {head.seq}: lines after it were removed"
    missing = next((seq for seq in sorted(kept) if seq > seen.seq), None)
    return ChainCheck(seen.seq, head, broken or (f"line {missing}, which was kept, is not there" if missing else None))


def _fault(row: dict[str, Any], before: Place) -> str | None:
    seq = row["seq"]
    if seq != before.seq + 1:
        return f"line {before.seq + 1} was removed"
    if digest(row) != row["hash"]:
        return f"line {seq} was changed"
    if row["previous"] != before.hash:
        return f"line {seq} does not follow the line before it: one of the two was changed"
    return None


def _against(kept: dict[int, str], place: Place) -> str | None:
    return f"line {place.seq} is not the one that was kept" if kept.get(place.seq, place.hash) != place.hash else None
