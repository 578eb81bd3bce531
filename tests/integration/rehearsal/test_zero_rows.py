"""A change that PostgreSQL reports as done, and that is not there, is an error of its own and never a success."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from demo.evolution.census import fingerprint_of
from demo.evolution.seed import seed_instance
from shared.database.connections import own_transaction
from shared.deletions import lifecycle
from shared.evolution.rows import reservation
from shared.evolution.rows.reservation import Reservation
from shared.services import Services
from tasks import pipeline
from tasks.leftovers import leftovers
from tests.integration.inline import ADMIN, accept, run_all, run_steps, run_to_end
from tests.integration.rehearsal.test_rehearsal import made
from tests.integration.rehearsal.test_row_rehearsal import changed, trigger
from tests.system import System

# The steps run in the tests.
pytestmark = pytest.mark.system()


def standing(services: Services, deletion_id: UUID) -> tuple[str, str | None, str]:
    """Status, failed step and reason."""
    with services.own.connect() as connection:
        row = connection.exec_driver_sql(
            "SELECT status, failed_step, coalesce(reason, '') FROM deletions WHERE id = %s", (deletion_id,)
        ).one()
    return row[0], row[1], row[2]


def notes(services: Services, deletion_id: UUID, step: str) -> dict[str, Any]:
    """What the step has noted."""
    with services.own.connect() as connection:
        query = "SELECT notes FROM steps WHERE deletion_id = %s AND name = %s"
        found: dict[str, Any] = connection.exec_driver_sql(query, (deletion_id, step)).scalar_one()
    return found


def go_on(services: Services, deletion_id: UUID) -> str:
    """Resume it, as `lethe retry` does, and run it; its status."""
    with own_transaction(services.own) as connection:
        lifecycle.resume(connection, deletion_id, ADMIN, republish_seconds=60)
    run_steps(services, deletion_id, *pipeline.NAMES, attempt=2)
    return standing(services, deletion_id)[0]


@pytest.mark.parametrize(
    ("when", "body", "changes"),
    [
        ("BEFORE UPDATE", "RETURN NULL;", "updates"),
        ("BEFORE UPDATE", "RETURN OLD;", "updates"),
        ("BEFORE INSERT", "RETURN NULL;", "inserts"),
        ("BEFORE DELETE", "RETURN NULL;", "deletes"),
    ],
)
def test_a_change_that_is_dropped_after_the_rehearsal_is_an_error(
    system: System, when: str, body: str, changes: str
) -> None:
    """With its own words; once the trigger is gone, the same deletion goes on, and its name is free."""
    name = f"{when} {body}"
    instance = seed_instance(system.deployment, name)
    ddl, undo = trigger("Instance", when, body)
    with made(system) as services:
        deletion_id = accept(services, instance.id, name)
        run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook")
        with changed(system, ddl, undo, instance):
            run_steps(services, deletion_id, "deregister")
            status, step, reason = standing(services, deletion_id)
        again = go_on(services, deletion_id)

    assert (status, step, again) == ("failed", "deregister", "succeeded"), reason
    assert f'"Instance" drops or reverts {changes}' in reason
    assert not fingerprint_of(system.deployment, instance.id, name)
    with system.deployment.connect() as connection:
        assert connection.execute("SELECT 1 FROM \"Instance\" WHERE starts_with(id, 'lethe:')").fetchall() == []


def test_what_came_back_by_the_name_is_removed_at_the_end(system: System) -> None:
    """A connected server may have written it after the name was given back."""
    instance = seed_instance(system.deployment, "late")
    with made(system) as services:
        deletion_id = accept(services, instance.id, "late")
        run_steps(services, deletion_id, *pipeline.NAMES[:-1])
        folder = system.deployment.files_root / "store" / "chatwoot" / "late"
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
        system.deployment.cache().set("evolution-cache:ChatwootService:late:getInbox", "x")

        run_all(services, deletion_id)

        assert standing(services, deletion_id)[0] == "succeeded"
        assert notes(services, deletion_id, "confirm")["name_in_use"] is False
    assert not folder.exists()
    assert not fingerprint_of(system.deployment, instance.id, "late")


def test_a_name_that_is_in_use_again_is_left_alone(system: System) -> None:
    """Its new instance loses nothing, and the deletion claims nothing of the name."""
    instance = seed_instance(system.deployment, "reused")
    with made(system) as services:
        deletion_id = accept(services, instance.id, "reused")
        run_steps(services, deletion_id, *pipeline.NAMES[:-1])
        new = seed_instance(system.deployment, "reused")
        before = fingerprint_of(system.deployment, new.id, "reused")

        run_all(services, deletion_id)

        assert standing(services, deletion_id)[0] == "succeeded"
        assert notes(services, deletion_id, "confirm")["name_in_use"] is True
    assert fingerprint_of(system.deployment, new.id, "reused") == before


def test_a_gateway_that_does_not_answer_at_the_end_is_waited_for(system: System) -> None:
    """Its memory was not seen: no receipt says that it is empty, before it answers or is given up."""
    instance, (gateway,) = seed_instance(system.deployment, "silent"), system.gateways
    with made(system) as services:
        deletion_id = accept(services, instance.id, "silent")
        run_steps(services, deletion_id, *pipeline.NAMES[:-1])
        gateway.fail_next["connectionState"] = [503] * 20
        run_all(services, deletion_id)
        waiting = standing(services, deletion_id)
        gateway.fail_next.clear()
        run_to_end(services, deletion_id)

        assert (waiting[0], f"gateway {gateway.url} cannot be reached" in waiting[2]) == ("waiting", True)
        assert standing(services, deletion_id)[0] == "succeeded"


def test_a_gateway_that_has_stopped_holds_nothing_in_its_memory(system: System) -> None:
    """Nothing listens there any more: that was seen."""
    instance, (gateway,) = seed_instance(system.deployment, "stopped"), system.gateways
    with made(system) as services:
        deletion_id = accept(services, instance.id, "stopped")
        run_steps(services, deletion_id, *pipeline.NAMES[:-1])
        gateway.stop()
        run_all(services, deletion_id)
        gateway.start()

        assert standing(services, deletion_id)[0] == "succeeded"


def test_a_sweep_finds_a_name_that_an_ended_deletion_has_reserved(system: System) -> None:
    """And gives it back; one of a deletion that goes on stays."""
    with made(system) as services:
        ended, going_on = uuid4(), accept(services, "some-id", "going on")
        for deletion_id, name in ((ended, "left behind"), (going_on, "going on")):
            Reservation(services.tenant, name, deletion_id).put()

        (found,) = [each for each in leftovers.find(services).leftovers if each.kind is leftovers.Kind.NAMES]
        removed = sum(leftovers.remove(services, found))

        assert (found.owner, removed) == (str(ended), 1)
        assert list(reservation.find_all(services.tenant)) == [going_on]
        Reservation(services.tenant, "going on", going_on).release()
