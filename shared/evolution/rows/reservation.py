"""Keeps a name from being taken while gateways act by it: a row of "Instance" that no server loads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

from sqlalchemy import Engine, select, text

from shared.database.connections import own_statement
from shared.database.models import ENDED, Deletion
from shared.errors import TransientError
from shared.evolution import instance_ids
from shared.evolution.rows.schema import ROOT
from shared.evolution.rows.tenant import ChangeIgnored, Tenant


class Found(Enum):
    """What was there when the name was to be reserved."""

    KEPT = "kept"  # the row, as it was when the last drop was sent
    PUT = "put"  # no row: it was put there now, for the first time or because a server had deleted it
    PUT_BACK = "put back"  # the row, put there since the last drop was sent: a server had deleted it
    TAKEN = "taken"  # the row of another instance


# The row's clientName: whether a drop was sent since it was put there. Earlier versions knew the second one only.
_TRIES = 20  # a server that deletes it again and again would have to be quicker than that
_NEW, _ARMED = "lethe:put", "lethe:reserved"


@dataclass(frozen=True)
class Reservation:
    """The name of one deletion's instance, in a committed row that a drop finds instead of another instance's."""

    tenant: Tenant
    name: str
    deletion_id: UUID
    instance_id: str = ""  # whose name it is, where that is known: its own row is not another instance's

    def put(self, *, is_new: bool = False) -> Found:
        """Reserve the name; the server's late `DELETE ... WHERE name` removes the row, and this puts it back."""
        holder = f'SELECT id, "clientName" FROM {self.tenant.table(ROOT)} WHERE name = :name'
        if not is_new and (row := next(iter(self.tenant.ask(holder, self.values)), None)):
            return self._judge(*row)  # mostly
        for _ in range(_TRIES):
            inserted, found = self.tenant.run([self.insertion(), holder], self.values)
            row = found.fetchone()  # none, and none inserted: a server has deleted it between the two statements
            if row:
                return Found.PUT if inserted.rowcount and row[0] == self.values["id"] else self._judge(*row)
            if inserted.rowcount:
                break
        raise ChangeIgnored(ROOT, "inserts")

    def _judge(self, instance_id: str, client_name: str) -> Found:
        if instance_id == self.instance_id:
            raise ChangeIgnored(ROOT, "updates")  # the fence's: the row has its name again
        if instance_id != self.values["id"]:
            return Found.TAKEN
        return Found.KEPT if client_name == _ARMED else Found.PUT_BACK

    def arm(self) -> None:
        """A drop is about to be sent: from now on the row's deletion is what acknowledges it; while it is held."""
        update = f'UPDATE {self.tenant.table(ROOT)} SET "clientName" = :armed WHERE id = :id AND name = :name'
        if self.tenant.run([update], self.values)[0].rowcount != 1:
            raise TransientError("the reservation of the name is not there")

    @contextmanager
    def held(self, *, is_new: bool = False) -> Iterator[Found]:
        """Reserve the name, and let no server delete the row for as long as the block runs.

        Mostly the row is there: it is put there when it was not found, or first if it is new.
        """
        put = self.put(is_new=True) if is_new else None
        while put is not Found.TAKEN:
            with self._lock() as row:
                if row:
                    yield put or self._judge(*row)
                    return
            put = self.put()
        yield Found.TAKEN

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Let no server delete the row for as long as the block runs; False when it is not there."""
        with self._lock() as row:
            yield row is not None

    @contextmanager
    def _lock(self) -> Iterator[tuple[str, str] | None]:
        """The id and clientName of the reservation's row, locked; None when it is not there."""
        # FOR KEY SHARE holds up the deletion of the row alone: a server's clean-up updates it first.
        table = self.tenant.table(ROOT)
        query = f'SELECT id, "clientName" FROM {table} WHERE id = :id AND name = :name FOR KEY SHARE'
        with self.tenant.transaction() as connection:
            row = connection.execute(text(query), self.values).one_or_none()
            yield tuple(row) if row else None

    def release(self) -> None:
        """Give the name back."""
        _, left = self.tenant.run([self.removal(), self._presence()], self.values)
        if left.rowcount:
            raise ChangeIgnored(ROOT, "deletes")

    def is_there(self) -> bool:
        """Whether the row is there, put by this process or another."""
        return bool(self.tenant.ask(self._presence(), self.values))

    def _presence(self) -> str:
        return f"SELECT 1 FROM {self.tenant.table(ROOT)} WHERE id = :id"

    def insertion(self) -> str:
        """The statement that puts the row there."""
        return (
            f'INSERT INTO {self.tenant.table(ROOT)} (id, name, "clientName", "connectionStatus")'
            " VALUES (:id, :name, :new, 'close') ON CONFLICT DO NOTHING"
        )

    def removal(self) -> str:
        """The statement that removes it."""
        return f"DELETE FROM {self.tenant.table(ROOT)} WHERE id = :id AND name = :name"

    @property
    def values(self) -> dict[str, str]:
        """What the statements take."""
        return {"id": f"lethe:{self.deletion_id}", "name": self.name, "new": _NEW, "armed": _ARMED}


@dataclass(frozen=True)
class Reserved:
    """A reserved name, and since when."""

    name: str
    since: datetime


def find_all(tenant: Tenant) -> dict[UUID, Reserved]:
    """The reserved names by their deletion."""
    columns = "id, name, \"createdAt\" AT TIME ZONE 'UTC'"
    rows = tenant.ask(f"SELECT {columns} FROM {tenant.table(ROOT)} WHERE starts_with(id, 'lethe:')", {})
    return {UUID(row_id[6:]): Reserved(*each) for row_id, *each in rows if instance_ids.is_uuid(row_id[6:])}


def release_ended(tenant: Tenant, own: Engine) -> int:
    """Give back the names whose deletion has ended: a worker of an earlier version does not do it. Returns how many."""
    held = find_all(tenant)
    if not held:
        return 0
    query = select(Deletion.id).where(Deletion.id.in_(held), Deletion.status.in_(ENDED))
    with own_statement(own) as connection:
        ended = connection.scalars(query).all()
    for deletion_id in ended:
        Reservation(tenant, held[deletion_id].name, deletion_id).release()
    return len(ended)
