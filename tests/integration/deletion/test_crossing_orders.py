"""An order that crosses another one's end: the instance is erased once, told of once, and has one receipt."""

from uuid import UUID

import pytest
from sqlalchemy import select

from cli import account, confirmation
from demo.evolution.seed import seed_instance
from shared.database.models import Deletion
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from tasks.orders import delete
from tests.integration.inline import accept, run_all
from tests.system import System

# The steps run in the tests.
pytestmark = pytest.mark.system()


def deletions_of(services: Services, instance_id: str) -> list[UUID]:
    """All that there ever were."""
    with services.own.connect() as connection:
        return list(connection.scalars(select(Deletion.id).where(Deletion.instance_id == instance_id)))


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_deletion_that_ends_while_the_instance_is_looked_up_is_not_ordered_again(
    system: System, services: Services, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """The second call is answered that the instance is being deleted."""
    instance = seed_instance(system.deployment, f"crossed by {by}")
    first, find = accept(services, instance.id, instance.name), services.tenant.find

    def find_late(**wanted: str) -> Instance | None:
        found = find(**wanted)
        monkeypatch.undo()
        run_all(services, first)
        return found

    monkeypatch.setattr(services.tenant, "find", find_late)

    order, called = (delete.by_name, instance.name) if by == "name" else (delete.by_id, instance.id)

    with pytest.raises(delete.AlreadyBeingDeleted):
        order(services, account.caller(), called)

    assert deletions_of(services, instance.id) == [first]


def test_an_instance_that_is_erased_while_its_name_is_typed_is_not_deleted_again(
    system: System, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who types has no hurry, and others delete meanwhile."""
    instance, others = seed_instance(system.deployment, "typed slowly"), list[UUID]()

    def type_slowly(*_: object, **__: object) -> str:
        others.append(accept(services, instance.id, instance.name))
        run_all(services, others[0])
        return instance.name

    monkeypatch.setattr("click.prompt", type_slowly)

    with pytest.raises(delete.UnknownInstance):
        delete.by_name(services, account.caller(confirmation.of_one(services)), instance.name)

    assert deletions_of(services, instance.id) == others
