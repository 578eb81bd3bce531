"""Rows of a real database, walked and searched, with triggers and without, in many slices."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select

from demo.evolution.census import census, fingerprint, fingerprint_of
from demo.evolution.seed import seed_instance
from shared.database.models import Step
from shared.services import Services
from tests.dangling import dangling_references
from tests.integration.inline import accept, run_steps
from tests.system import System
from worker.runner import Outcome

MESSAGES = 3_000


@pytest.fixture(params=["auto", "always"])
def services(system: System, request: pytest.FixtureRequest) -> Iterator[Services]:
    """Batches of a few milliseconds, and slices of a few batches."""
    made = system.make_services(row_triggers=request.param, batch_seconds=0.002, slice_seconds=0.03)
    yield made
    made.close()


@pytest.fixture(scope="module", params=[1, 6], ids=["half of the table", "a small part"])
def system(make_system: Callable[..., System], request: pytest.FixtureRequest) -> System:
    """A deployment without processes, in which a neighbour has as much as what is erased, or far more."""
    made = make_system()
    seed_instance(made.deployment, "beside", messages=MESSAGES * request.param)
    return made


def test_all_rows_go_and_no_others(system: System, services: Services) -> None:
    """Each once, by each way to find them: the counts are those of before."""
    name = services.settings.row_triggers
    instance = seed_instance(system.deployment, name, messages=MESSAGES)
    with system.deployment.connect() as connection:
        connection.execute("ANALYZE")
    before, own = fingerprint(system.deployment), fingerprint_of(system.deployment, instance.id, name)
    rows = census(system.deployment, instance.id, name)["rows"]
    deletion_id = accept(services, instance.id, name)
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook", "deregister")

    slices = []
    while slices[-1:] != [Outcome.CONTINUE]:
        slices += run_steps(services, deletion_id, "delete_records")

    with services.own.connect() as connection:
        of_step = select(Step.removed, Step.at_least).where(Step.deletion_id == deletion_id)
        removed, at_least = connection.execute(of_step.where(Step.name == "delete_records")).one()
    assert slices[0] is Outcome.REPUBLISH
    assert (removed, at_least) == ({table: number for table, number in rows.items() if number}, False)
    gone = {entry for entry in own if entry.startswith("row:")}
    after = fingerprint(system.deployment).items()
    reserved = f"row:Instance:lethe:{deletion_id}"  # its name, for as long as a server may act by it
    left = {entry: value for entry, value in after if entry.startswith("row:") and entry != reserved}
    assert left == {entry: value for entry, value in before.items() if entry.startswith("row:") and entry not in gone}
    assert dangling_references(system.deployment.database_url) == {}


def test_a_dangling_reference_is_found(system: System) -> None:
    """The check that all tests of rows share sees what a deletion without triggers could leave."""
    instance = seed_instance(system.deployment, "torn", messages=3, media=1, updates_per_message=2)
    with system.deployment.connect() as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute('DELETE FROM "Message" WHERE "instanceId" = %s', (instance.id,))

    found = dangling_references(system.deployment.database_url)
    with system.deployment.connect() as connection:
        connection.execute('DELETE FROM "Instance" WHERE id = %s', (instance.id,))

    assert found == {"MessageUpdate_messageId_fkey": 6, "Media_messageId_fkey": 1}
    assert dangling_references(system.deployment.database_url) == {}
