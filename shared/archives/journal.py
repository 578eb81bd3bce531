"""What is written of an archive so far, in Lethe's own database: closed parts, and where each stream goes on."""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from cryptography.fernet import Fernet
from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from shared.archives.parts import Part
from shared.archives.streams import Progress
from shared.database.archive_models import ArchivePart, ArchiveRow
from shared.database.connections import own_transaction
from shared.errors import TransientError


class WrittenElsewhere(TransientError):
    """Another process writes this archive."""


@dataclass
class State:
    """Of an archive that is not closed. It is stored encrypted: a position can be a file's name."""

    since: int  # see tables.since
    clocks: dict[str, float]  # of each store, when the archive began
    streams: dict[str, dict[str, Progress]] = field(default_factory=dict)  # by stage and stream
    secrets: dict[str, list[str]] = field(default_factory=dict)  # columns that were left out, by table

    def dump(self) -> str:
        """As text."""
        return json.dumps(self, default=vars)

    @staticmethod
    def load(text: str) -> "State":
        """From that text."""
        values: dict[str, Any] = json.loads(text)
        streams = {
            stage: {name: Progress(**each) for name, each in found.items()}
            for stage, found in values.pop("streams").items()
        }
        return State(streams=streams, **values)


@dataclass(frozen=True)
class Facts:
    """What an archive is of, and how it is written; a continued one has those with which it began."""

    id: UUID
    instance_id: str
    instance_name: str
    place: str
    with_secrets: bool
    recipient: str | None
    of_deletion: bool = False


class Journal:
    """Of one archive. The process that opened it last writes it: no other one can change it any more."""

    def __init__(self, engine: Engine, cipher: Fernet, facts: Facts) -> None:
        self.facts = facts
        self._engine = engine
        self._cipher = cipher
        self._parts = 0
        self._stored = b""  # the state as this process has stored it: encrypted once more, it is another text

    def open(self) -> State | None:
        """Take over the archive that was begun earlier, as it was begun: its state; None for a new one."""
        columns = (ArchiveRow.parts, ArchiveRow.sealed, ArchiveRow.with_secrets, ArchiveRow.recipient)
        with own_transaction(self._engine) as connection:
            row = connection.execute(select(*columns).where(self._mine())).one_or_none()
        if row is None:
            return None
        self.facts = replace(self.facts, with_secrets=row.with_secrets, recipient=row.recipient)
        self._parts, self._stored = row.parts, row.sealed
        state = State.load(self._cipher.decrypt(row.sealed).decode())
        self.save(state)
        return state

    def begin(self, state: State) -> None:
        """Store a new archive; raises WrittenElsewhere."""
        self._stored = self._sealed(state)
        values = {
            "id": self.facts.id,
            "instance_id": self.facts.instance_id,
            "place": self.facts.place,
            "of_deletion": self.facts.of_deletion,
            "with_secrets": self.facts.with_secrets,
            "recipient": self.facts.recipient,
            "parts": 0,
            "sealed": self._stored,
        }
        with own_transaction(self._engine) as connection:
            insertion = upsert(ArchiveRow).values(values).on_conflict_do_nothing().returning(ArchiveRow.id)
            if connection.execute(insertion).one_or_none() is None:
                raise WrittenElsewhere

    def save(self, state: State, part: Part | None = None) -> None:
        """Store how far the archive is, with a part that was closed; raises WrittenElsewhere."""
        sealed, more = self._sealed(state), 1 if part else 0
        with own_transaction(self._engine) as connection:
            changed = connection.execute(
                update(ArchiveRow)
                .where(self._mine(), ArchiveRow.sealed == self._stored)
                .values(parts=ArchiveRow.parts + more, sealed=sealed)
            )
            if changed.rowcount != 1:
                raise WrittenElsewhere
            if part:
                row = {"archive_id": self.facts.id, "number": self._parts, **asdict(part)}
                connection.execute(insert(ArchivePart).values(row))
        self._parts, self._stored = self._parts + more, sealed

    @property
    def next_number(self) -> int:
        """Of the next part, from 1."""
        return self._parts + 1

    def parts(self) -> list[Part]:
        """The closed parts, in their order."""
        columns = [getattr(ArchivePart, name) for name in Part.__dataclass_fields__]
        wanted = select(*columns).where(ArchivePart.archive_id == self.facts.id).order_by(ArchivePart.number)
        with own_transaction(self._engine) as connection:
            return [Part(*row) for row in connection.execute(wanted)]

    def close(self) -> tuple[datetime, datetime | None]:
        """When the archive began, and when it was first tried to be closed; raises WrittenElsewhere."""
        with own_transaction(self._engine) as connection:
            row = connection.execute(
                update(ArchiveRow)
                .where(self._mine(), ArchiveRow.sealed == self._stored)
                .values(closed_at=func.coalesce(ArchiveRow.closed_at, func.now()))
                .returning(ArchiveRow.began_at, ArchiveRow.closed_at)
            ).one_or_none()
        if row is None:
            raise WrittenElsewhere
        return row.began_at, row.closed_at

    def forget(self, connection: Connection) -> None:
        """Remove what is stored of the archive: its manifest has it."""
        connection.execute(delete(ArchiveRow).where(self._mine()))

    def _sealed(self, state: State) -> bytes:
        return self._cipher.encrypt(state.dump().encode())

    def _mine(self) -> Any:
        return ArchiveRow.id == self.facts.id


def unfinished(engine: Engine, instance_id: str, place: str) -> tuple[UUID, bool, str | None] | None:
    """The id, with_secrets and recipient of an unfinished archive of the instance in this place, but of no deletion."""
    wanted = select(ArchiveRow.id, ArchiveRow.with_secrets, ArchiveRow.recipient).where(
        ArchiveRow.instance_id == instance_id, ArchiveRow.place == place, ArchiveRow.of_deletion.is_(False)
    )
    with own_transaction(engine) as connection:
        row = connection.execute(wanted).first()
    return (row[0], row[1], row[2]) if row else None
