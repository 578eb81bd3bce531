"""Keeps a name from being taken while gateways act by it: a row of "Instance" that no server loads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from sqlalchemy import Engine, select, text

from shared.database.connections import own_statement
from shared.database.models import ENDED, Deletion
from shared.errors import TransientError
from shared.evolution import instance_ids
from shared.evolution.rows.schema import ROOT
from shared.evolution.rows.tenant import Tenant


class Found(Enum):
    """What was there when the name was to be reserved."""

    KEPT = "kept"  # the row, as it was when the last drop was sent
    PUT = "put"  # no row: it was put there now, for the first time or because a server had deleted it
    PUT_BACK = "put back"  # the row, put there since the last drop was sent: a server had deleted it
    TAKEN = "taken"  # the row of another instance


# The row's clientName: whether a drop was sent since it was put there. Earlier versions knew the second one only.
_NEW, _ARMED = "lethe:put", "lethe:reserved"


@dataclass(frozen=True)
class Reservation:
    """The name of one deletion's instance, in a committed row that a drop finds instead of another instance's."""

    tenant: Tenant
    name: str
    deletion_id: UUID

    def put(self) -> Found:
        """Reserve the name; the server's late `DELETE ... WHERE name` removes the row, and this puts it back."""
        holder = f'SELECT id, "clientName" FROM {self.tenant.table(ROOT)} WHERE name = :name'
        while True:
            inserted, found = self.tenant.run([self.insertion(), holder], self.values)
            if inserted.rowcount:
                return Found.PUT
            if row := found.fetchone():  # none: a server has deleted it between the two statements
                return self._judge(*row)

    def _judge(self, instance_id: str, client_name: str) -> Found:
        if instance_id != self.values["id"]:
            return Found.TAKEN
        return Found.KEPT if client_name == _ARMED else Found.PUT_BACK

    def arm(self) -> None:
        """A drop is about to be sent: from now on the row's deletion is what acknowledges it; while it is held."""
        update = f'UPDATE {self.tenant.table(ROOT)} SET "clientName" = :armed WHERE id = :id AND name = :name'
        if self.tenant.run([update], self.values)[0].rowcount != 1:
            raise TransientError("the reservation of the name is not there")

    @contextmanager
    def held(self) -> Iterator[Found]:
        """Reserve the name, and let no server delete the row for as long as the block runs."""
        while (found := self.put()) is not Found.TAKEN:
            with self.locked() as is_there:
                if is_there:
                    yield found
                    return
        yield Found.TAKEN

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Let no server delete the row for as long as the block runs; False when it is not there."""
        # FOR KEY SHARE holds up the deletion of the row alone: a server's clean-up updates it first.
        query = f"SELECT 1 FROM {self.tenant.table(ROOT)} WHERE id = :id AND name = :name FOR KEY SHARE"
        with self.tenant.transaction() as connection:
            yield connection.execute(text(query), self.values).scalar() is not None

    def release(self) -> None:
        """Give the name back."""
        self.tenant.run([self.removal()], self.values)

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


def release_ended(tenant: Tenant, own: Engine) -> int:
    """Give back the names whose deletion has ended: a worker of an earlier version does not do it. Returns how many."""
    rows = tenant.ask(f"SELECT id, name FROM {tenant.table(ROOT)} WHERE starts_with(id, 'lethe:')", {})
    held = {UUID(row_id.removeprefix("lethe:")): name for row_id, name in rows if instance_ids.is_uuid(row_id[6:])}
    if not held:
        return 0
    query = select(Deletion.id).where(Deletion.id.in_(held), Deletion.status.in_(ENDED))
    with own_statement(own) as connection:
        ended = connection.scalars(query).all()
    for deletion_id in ended:
        Reservation(tenant, held[deletion_id], deletion_id).release()
    return len(ended)
