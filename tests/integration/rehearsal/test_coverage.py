"""What a deletion does not reach is said before it by previews and doctor, and after it by the receipt."""

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from api.app import create
from demo.evolution.deployment import SeededInstance
from demo.evolution.seed import seed_instance
from demo.parts import Postgres
from shared.database import connections
from shared.evolution.rows.rehearsal import uncovered
from shared.evolution.rows.tenant import Tenant
from shared.receipts import receipt
from shared.services import Services
from tests.integration.inline import accept, run_all
from tests.integration.rehearsal.test_rehearsal import made
from tests.integration.rehearsal.test_row_rehearsal import changed, trigger
from tests.integration.shell import lethe
from tests.system import ADMIN_KEY, System

MARKS = '"instanceId" text'
UNCOVERED = {
    "a materialized view": (
        'CREATE VIEW recent AS SELECT id, "pushName" FROM "Message";'
        " CREATE SCHEMA reports; CREATE MATERIALIZED VIEW reports.daily AS SELECT count(*) FROM recent",
        "DROP SCHEMA reports CASCADE; DROP VIEW recent",
        'refreshed: "reports"."daily"',
    ),
    "a table of another schema": (
        f"CREATE SCHEMA archive; CREATE TABLE archive.messages (id int, {MARKS})",
        "DROP SCHEMA archive CASCADE",
        '"archive"."messages"',
    ),
    "a view's copy": (
        'CREATE TABLE copied AS SELECT id, "remoteJid", name FROM "Chat"',
        "DROP TABLE copied",
        '"public"."copied"',
    ),
}


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System]) -> System:
    """A system without processes: the steps run here."""
    return make_system()


def not_covered(services: Services, instance: SeededInstance) -> list[str]:
    """What the preview says of it, but for the brokers that every seeded instance has."""
    return without_brokers(preview(services, instance)["notCovered"])


def without_brokers(sentences: list[str]) -> list[str]:
    """Those on other places."""
    return [each for each in sentences if not any(broker in each for broker in ("Kafka", "RabbitMQ", "SQS"))]


def preview(services: Services, instance: SeededInstance) -> dict[str, list[str]]:
    """The API's preview."""
    order = {"instanceName": instance.name, "dryRun": True}
    answer = create(services).test_client().post("/deletions", headers={"apikey": ADMIN_KEY}, json=order)
    assert answer.status_code == 200, answer.text
    found: dict[str, list[str]] = answer.json
    return found


def proved(services: Services, instance: SeededInstance) -> list[str]:
    """What the receipt of its deletion says to be not covered."""
    deletion_id = accept(services, instance.id, instance.name)
    run_all(services, deletion_id)
    document = receipt.load(services.own, deletion_id)
    assert document is not None
    return without_brokers(json.loads(document)["receipt"]["notCovered"])


@pytest.mark.parametrize("case", UNCOVERED)
def test_what_the_database_keeps_is_said(system: System, case: str) -> None:
    """By its name, in the same sentence everywhere; afterwards it is not said any more."""
    ddl, undo, words = UNCOVERED[case]
    instance = seed_instance(system.deployment, case)

    with changed(system, ddl, undo, instance), made(system) as services:
        (said,) = not_covered(services, instance)
        by_doctor = [row for row in report(system) if row["part"] == "not covered" and words in row["says"]]
        on_the_command_line = lethe(system, "preview", instance.name).stdout
        by_the_receipt = proved(services, instance)
        again = seed_instance(system.deployment, f"{case} again")
    with made(system) as services:
        later = not_covered(services, again)

    assert words in said
    assert [row["says"] for row in by_doctor] == [said]
    assert by_doctor[0]["advice"].endswith("docs/requirements.md#not-covered")
    assert f"stays: {said}" in on_the_command_line
    assert by_the_receipt == [said]
    assert later == []


def report(system: System) -> list[dict[str, str]]:
    """What doctor says, as JSON."""
    found: list[dict[str, str]] = json.loads(lethe(system, "doctor", "--json").stdout)
    return found


def test_lethes_own_tables_are_not_called_copies(system: System) -> None:
    """They may be in the same database; what they keep is in their receipts."""
    instance = seed_instance(system.deployment, "beside Lethe")
    ddl = "CREATE SCHEMA lethe; CREATE TABLE lethe.deletions (instance_id text, instance_name text)"

    with changed(system, ddl, "DROP SCHEMA lethe CASCADE", instance), made(system) as services:
        assert not_covered(services, instance) == []


def test_another_deployments_tables_are_not_called_copies(system: System) -> None:
    """They have migrations of their own, and their own Lethe."""
    instance = seed_instance(system.deployment, "beside another")
    ddl = f"CREATE SCHEMA second; CREATE TABLE second._prisma_migrations (id int); CREATE TABLE second.chat ({MARKS})"

    with changed(system, ddl, "DROP SCHEMA second CASCADE", instance), made(system) as services:
        assert not_covered(services, instance) == []


def test_a_logical_replication_slot_is_said(tmp_path: Path) -> None:
    """Its readers have received the rows as well."""
    part = Postgres.start(tmp_path, fast=True)
    with psycopg.connect(part.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_level = logical")
    part.restart()
    with psycopg.connect(part.url, autocommit=True) as connection:
        connection.execute('CREATE TABLE "Instance" (id text, name text)')
        connection.execute("SELECT pg_create_logical_replication_slot('warehouse', 'pgoutput')")
    tenant = Tenant(connections.connect(part.url, name="test"), "public")

    found = uncovered.find(tenant, tenant.plan())

    tenant.engine.dispose()
    part.stop()
    assert found == ['what logical replication slots have handed on: "warehouse"']


@pytest.mark.parametrize("by", ["id", "name", "inside"])
def test_a_link_among_the_instances_files_is_said(system: System, tmp_path: Path, by: str) -> None:
    """It goes; what it leads to stays, and nobody is told that it is gone."""
    name = f"linked by {by}"
    instance, root = seed_instance(system.deployment, name), system.deployment.files_root
    (tmp_path / "precious").write_text("x")
    place = {"id": root / "instances" / instance.id, "name": root / "store/chatwoot" / name}.get(
        by, root / "instances" / instance.id / "more"
    )
    if place.is_dir():
        place.rename(tmp_path / "away")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(tmp_path)

    with made(system) as services:
        said = not_covered(services, instance)
        by_the_receipt = proved(services, instance)

    assert said == ["what symbolic links in the instance's folders lead to: 1"]
    assert by_the_receipt == said
    assert (tmp_path / "precious").exists()
    assert not place.is_symlink()


@pytest.mark.parametrize(
    ("table", "setting"),
    [("Kafka", "LETHE_KAFKA_URL"), ("Rabbitmq", "LETHE_RABBITMQ_URL"), ("Sqs", "LETHE_SQS_REGION")],
)
def test_a_store_that_a_row_speaks_of_and_lethe_is_not_told_of_is_said(
    system: System, table: str, setting: str
) -> None:
    """Otherwise its queues would stay, and nobody would know."""
    instance = seed_instance(system.deployment, f"with {table}")
    with made(system) as services:
        before = preview(services, instance)["notCovered"]
        with system.deployment.connect() as connection:
            change = f"""UPDATE "{table}" SET enabled = false, events = '[]' WHERE "instanceId" = %s"""
            connection.execute(change, (instance.id,))  # type: ignore[arg-type]
        after = preview(services, instance)["notCovered"]

    (gone,) = set(before) - set(after)
    assert setting in gone


def test_what_could_not_be_tried_is_said_by_the_preview_too(system: System) -> None:
    """Here an operator's trigger that reaches outside."""
    instance = seed_instance(system.deployment, "reaching out")
    ddl, undo = trigger("Chat", "BEFORE DELETE", "PERFORM dblink('x'); RETURN OLD;")

    with changed(system, ddl, undo, instance), made(system) as services:
        said = preview(services, instance)["notRehearsed"]
        on_the_command_line = lethe(system, "preview", instance.name).stdout

    (sentence,) = said
    assert sentence.startswith('not tried: "Chat": the trigger operators')
    assert sentence in on_the_command_line
