"""What was erased stays erased, also after an old backup of the tenant database was restored."""

import json

import pytest

from demo.evolution.census import census, fingerprint
from demo.evolution.seed import seed_instance
from shared.services import Services
from tasks.orders import replay
from tests.integration.inline import accept, run_all
from tests.integration.shell import lethe
from tests.system import System


@pytest.fixture
def system(fresh_system: System) -> System:
    """A deployment without processes."""
    return fresh_system


def erase(services: Services, system: System, name: str) -> str:
    """Erase an instance in the test's own process; its id."""
    instance = seed_instance(system.deployment, name)
    run_all(services, accept(services, instance.id, name))
    return instance.id


def total(system: System, instance_id: str, name: str) -> int:
    """Everything the deployment has of an instance."""
    return sum(sum(counts.values()) for counts in census(system.deployment, instance_id, name).values())


def test_what_a_backup_brings_back_is_erased_again(system: System) -> None:
    """By its id, while another instance has the name; an instance that was never erased is left alone."""
    services = system.make_services()
    erased = erase(services, system, "reborn")
    seed_instance(system.deployment, "reborn")
    seed_instance(system.deployment, "never erased")
    before = fingerprint(system.deployment)
    seed_instance(system.deployment, "reborn as in the backup", instance_id=erased)

    answer = lethe(system, "tombstones", "replay", "--yes", "--json")
    ordered = json.loads(answer.stdout)
    for each in ordered:
        run_all(services, each["deletionId"])

    assert answer.returncode == 0, answer.stderr
    assert [each["instanceId"] for each in ordered] == [erased]
    assert total(system, erased, "reborn as in the backup") == 0
    assert fingerprint(system.deployment) == before
    assert replay.find(services) == []
    with services.own.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT status, requester FROM deletions WHERE instance_id = %s ORDER BY accepted_at", (erased,)
        ).all()
        receipts = connection.exec_driver_sql("SELECT count(*) FROM receipts").scalar_one()
    assert [tuple(row) for row in rows] == [("succeeded", "admin"), ("succeeded", "server")]
    assert receipts == 2
    services.close()


def test_the_name_comes_back_with_its_row(system: System) -> None:
    """The usual restore: the row as it was, under the name it had."""
    services = system.make_services()
    erased = erase(services, system, "restored")
    seed_instance(system.deployment, "restored", instance_id=erased)

    (ordered,) = json.loads(lethe(system, "tombstones", "replay", "--yes", "--json").stdout)
    run_all(services, ordered["deletionId"])

    assert total(system, erased, "restored") == 0
    services.close()


def test_nothing_is_ordered_without_a_yes(system: System) -> None:
    """It lists, asks, and takes silence for a no."""
    services = system.make_services()
    erased = erase(services, system, "listed")
    seed_instance(system.deployment, "listed", instance_id=erased)

    answer = lethe(system, "tombstones", "replay")

    assert answer.returncode == 1
    assert f"{erased}  'listed'" in answer.stdout
    assert [found.id for found in replay.find(services)] == [erased]
    services.close()


def test_what_is_being_erased_again_is_not_ordered_twice(system: System) -> None:
    """A second replay beside the first finds nothing."""
    services = system.make_services()
    erased = erase(services, system, "twice")
    seed_instance(system.deployment, "twice", instance_id=erased)

    first = json.loads(lethe(system, "tombstones", "replay", "--yes", "--json").stdout)
    second = lethe(system, "tombstones", "replay", "--yes")

    assert len(first) == 1
    assert (second.returncode, second.stdout.strip()) == (0, "No erased instance is back.")
    services.close()
