"""A deletion that another caller resumes: whose order it is."""

from dataclasses import dataclass
from uuid import UUID

import pytest

from demo.evolution.seed import seed_instance
from shared import services
from tests.integration.inline import run_all, run_steps
from tests.system import System


@dataclass(frozen=True)
class Order:
    """An admin's order that has failed before anything was done, and the instance's token."""

    system: System
    deletion_id: UUID
    instance_id: str
    name: str
    token: str

    def resume_by_instance(self) -> int:
        """The instance sends the documented call; its status."""
        return self.system.delete(self.name, key=self.token, Prefer="respond-async").status

    def call(self, method: str, what: str = "") -> int:
        """One call by the instance about the deletion; its status."""
        return self.system.call(method, f"/deletions/{self.deletion_id}{what}", key=self.token).status_code


@pytest.fixture
def order(system: System, request: pytest.FixtureRequest) -> Order:
    """Its files root could not be read."""
    name = request.node.name
    instance = seed_instance(system.deployment, name)
    accepted = system.delete(name, Prefer="respond-async").body["response"]["deletionId"]
    without_files = services.create(system.settings.model_copy(update={"files_root": system.folder / "nowhere"}))
    run_all(without_files, UUID(accepted))
    without_files.close()
    assert system.show(accepted)["status"] == "failed"
    return Order(system, UUID(accepted), instance.id, name, instance.token)


def test_an_instance_that_resumes_an_admins_order_cannot_cancel_it(order: Order) -> None:
    """It may follow it: its own call was answered with this deletion."""
    resumed = order.resume_by_instance()

    assert resumed == 202
    assert order.call("GET") == 200
    assert order.call("POST", "/cancel") == 401
    assert order.system.show(str(order.deletion_id))["status"] == "queued"


def test_a_new_token_does_not_stop_an_admins_order_that_the_instance_has_resumed(order: Order) -> None:
    """The rights that are looked at again are those of the admin."""
    resumed = order.resume_by_instance()
    made = order.system.make_services()
    with made.tenant.engine.begin() as connection:
        connection.exec_driver_sql('UPDATE "Instance" SET token = %s WHERE id = %s', ("new", order.instance_id))

    run_steps(made, order.deletion_id, "logout", attempt=2)

    assert resumed == 202
    assert order.system.show(str(order.deletion_id))["status"] == "running"
    made.close()
