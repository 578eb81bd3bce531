"""The audit as a hash chain: lines are only appended, and each contains the hash of the line before it."""

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

import rfc8785
from sqlalchemy import Connection, Engine, select, text

from shared.audit.entries import Entry, products
from shared.database.connections import translate_errors
from shared.database.models import AuditHead, AuditLine
from shared.translations.marks import N_

START = "0" * 64  # stands for the hash before the first line
_AT_ONCE = 1000
HASHED = (
    "seq", "at", "action", "decision", "role", "key_id", "address", "user_agent", "request_id", "instance_id",
    "deletion_id", "reason", "times", "previous",
)  # fmt: skip

_BLANK = uuid4().hex  # random, so that no value contains it
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
    """The place of a line in the chain, as a receipt names it."""

    seq: int
    hash: str


@dataclass(frozen=True)
class ChainCheck:
    """Result of a check: the number of valid lines, the end of the chain, and the first fault; None for no fault."""

    lines: int
    head: Place
    broken: str | None


def append(connection: Connection, *entries: Entry) -> Place:
    """Append lines; returns the place of the last one. Call it last in the transaction that did what the lines say.

    The row of the head is the lock: from here to the commit, one writer at a time has it, so that the chain has one
    order. Called last, the lock is short, and its holder never waits for the row of a deletion. The database itself
    computes the hash, in one statement for each line, so that the lock is not held while a process computes.
    """
    rows = map(_row, entries)
    places = [Place(*connection.execute(_APPEND, row | _pieces(row)).one()) for row in rows]
    return places[-1]


def _row(entry: Entry) -> dict[str, Any]:
    row = {field.name: getattr(entry, field.name) for field in fields(entry) if field.name != "actor"}
    row |= asdict(entry.actor) | {"action": entry.action.value, "decision": entry.decision.value}
    return row | {"user_agent": products(entry.actor.user_agent)}


def _pieces(row: dict[str, Any]) -> dict[str, str]:
    """The text that digest() hashes, cut at the three values that only the database knows: time, seq, previous hash."""
    text = canonical(row | dict.fromkeys(("at", "previous", "seq"), _BLANK))
    return dict(zip(("before_at", "before_previous", "before_seq", "rest"), text.split(f'"{_BLANK}"'), strict=True))


def digest(row: dict[str, Any]) -> str:
    """SHA-256 of the line's canonical JSON (RFC 8785)."""
    return sha256(canonical(row).encode()).hexdigest()


def canonical(row: dict[str, Any]) -> str:
    """The text of a line that is hashed (RFC 8785)."""
    return rfc8785.dumps({name: _plain(row[name]) for name in HASHED}).decode()


def _plain(value: Any) -> str | int | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value if value is None or isinstance(value, int) else str(value)


def verify(engine: Engine, anchors: tuple[Place, ...] = ()) -> ChainCheck:
    """Check the whole chain; finds the first line that was changed, removed or moved.

    A writer with full access can compute all hashes anew. Only an anchor shows that, or that the database is an older
    copy: the place of a line that was stored elsewhere, in a receipt or in the output of an earlier check.
    """
    seen, broken = Place(0, START), None
    anchored = {anchor.seq: anchor.hash for anchor in anchors}
    with translate_errors("the own database"), engine.connect() as connection:
        snapshot = connection.execution_options(isolation_level="REPEATABLE READ", yield_per=_AT_ONCE)
        head = Place(*snapshot.execute(select(AuditHead.seq, AuditHead.hash)).one())
        for row in snapshot.execute(select(AuditLine.__table__).order_by(AuditLine.seq)).mappings():
            broken = _line_fault(dict(row), seen) or _anchor_fault(anchored, Place(row["seq"], row["hash"]))
            if broken:
                return ChainCheck(seen.seq, head, broken)
            seen = Place(row["seq"], row["hash"])
    if seen != head:
        broken = N_(f"the chain ends at line {seen.seq}, but its head is line {head.seq}: lines after it were removed")
    missing = next((seq for seq in sorted(anchored) if seq > seen.seq), None)
    return ChainCheck(
        seen.seq, head, broken or (N_(f"line {missing}, which an anchor names, is missing") if missing else None)
    )


def _line_fault(row: dict[str, Any], before: Place) -> str | None:
    seq = row["seq"]
    if seq != before.seq + 1:
        return N_(f"line {before.seq + 1} was removed")
    if digest(row) != row["hash"]:
        return N_(f"line {seq} was changed")
    if row["previous"] != before.hash:
        return N_(f"line {seq} does not follow the line before it: one of the two was changed")
    return None


def _anchor_fault(anchored: dict[int, str], place: Place) -> str | None:
    is_same = anchored.get(place.seq, place.hash) == place.hash
    return None if is_same else N_(f"line {place.seq} has not the hash of its anchor")
