"""What would not be safe is refused before anything is done, and says what is in the way."""

from typing import Any

import psycopg
import pytest

from demo.evolution.census import fingerprint
from demo.evolution.seed import seed_instance
from shared.services import Services
from tests.integration.inline import accept, run_all
from tests.system import System


@pytest.fixture
def system(fresh_system: System) -> System:
    """A system without processes: the steps run here."""
    return fresh_system


def outcome(services: Services, deletion_id: Any) -> tuple[str, str | None, str | None]:
    """Status, failed step and reason."""
    with services.own.connect() as connection:
        row = connection.exec_driver_sql(
            "SELECT status, failed_step, reason FROM deletions WHERE id = %s", (deletion_id,)
        ).one()
    return row[0], row[1], row[2]


@pytest.mark.parametrize(
    ("ddl", "named"),
    [
        (
            'CREATE TABLE "Loop" (id text PRIMARY KEY, "instanceId" text, "otherId" text NOT NULL);'
            'CREATE TABLE "Pool" (id text PRIMARY KEY, "instanceId" text,'
            ' "loopId" text NOT NULL REFERENCES "Loop"(id));'
            'ALTER TABLE "Loop" ADD FOREIGN KEY ("otherId") REFERENCES "Pool"(id);',
            "Loop",
        ),
        (
            'CREATE TABLE "Odd" (id text PRIMARY KEY,'
            ' "chatId" text DEFAULT \'x\' REFERENCES "Chat"(id) ON DELETE SET DEFAULT);',
            "Odd",
        ),
        (
            'CREATE TABLE "Tree" (id text PRIMARY KEY, "instanceId" text, "up" text NOT NULL REFERENCES "Tree"(id));',
            "Tree",
        ),
    ],
    ids=["a cycle", "an unknown rule", "a table that refers to itself"],
)
def test_a_schema_that_is_not_understood_is_refused(system: System, ddl: str, named: str) -> None:
    """With its name, before logout, and nothing is changed."""
    instance = seed_instance(system.deployment, "safe")
    system.gateways[0].load()
    with system.deployment.connect() as connection:
        connection.execute(ddl)
    before, services = fingerprint(system.deployment), system.make_services()
    deletion_id = accept(services, instance.id, "safe")

    run_all(services, deletion_id)

    status, step, reason = outcome(services, deletion_id)
    assert (status, step) == ("failed", "logout")
    assert named in str(reason)
    assert system.gateways[0].sessions["safe"] == "open"
    assert fingerprint(system.deployment) == before
    services.close()


def test_a_new_table_is_covered_the_day_it_appears(system: System) -> None:
    """With a foreign key, with a bare instanceId column, and owned through another table."""
    with system.deployment.connect() as connection:
        connection.execute(
            'CREATE TABLE "Poll" (id text PRIMARY KEY, "instanceId" text NOT NULL REFERENCES "Instance"(id));'
            'CREATE TABLE "Vote" (id text PRIMARY KEY, "pollId" text NOT NULL REFERENCES "Poll"(id));'
            'CREATE TABLE "Loose" (id text PRIMARY KEY, "instanceId" text);'
            'CREATE TABLE "Mention" (id text PRIMARY KEY, "pollId" text REFERENCES "Poll"(id) ON DELETE SET NULL);'
        )
    mine, other = (seed_instance(system.deployment, name) for name in ("mine", "other"))
    with system.deployment.connect() as connection:
        for owner in (mine.id, other.id):
            connection.execute('INSERT INTO "Poll" VALUES (%s, %s)', (f"p-{owner}", owner))
            connection.execute('INSERT INTO "Vote" VALUES (%s, %s)', (f"v-{owner}", f"p-{owner}"))
            connection.execute('INSERT INTO "Loose" VALUES (%s, %s)', (f"l-{owner}", owner))
        connection.execute('INSERT INTO "Mention" VALUES (%s, %s)', ("m", f"p-{mine.id}"))
    services = system.make_services()
    deletion_id = accept(services, mine.id, "mine")

    run_all(services, deletion_id)

    assert outcome(services, deletion_id)[0] == "succeeded"
    with system.deployment.connect() as connection:
        left = [connection.execute(f'SELECT id FROM "{table}"').fetchall() for table in ("Poll", "Vote", "Loose")]
        assert left == [[(f"p-{other.id}",)], [(f"v-{other.id}",)], [(f"l-{other.id}",)]]
        assert connection.execute('SELECT * FROM "Mention"').fetchall() == [("m", None)]
    services.close()


def test_missing_rights_are_refused(system: System) -> None:
    """The role may delete from all tables but one: that one is named."""
    instance = seed_instance(system.deployment, "rightless")
    with psycopg.connect(system.deployment.database_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS limited")
        connection.execute("CREATE ROLE limited LOGIN")
        connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited")
        connection.execute('REVOKE DELETE ON "Typebot" FROM limited')
    url = system.deployment.database_url.replace("postgres@", "limited@")
    services = system.make_services(tenant_database_url=type(system.settings.database_url)(url))
    deletion_id = accept(services, instance.id, "rightless")

    run_all(services, deletion_id)

    status, step, reason = outcome(services, deletion_id)
    assert (status, step) == ("failed", "logout")
    assert 'lacks DELETE on "Typebot"' in str(reason)
    services.close()


def test_rows_of_another_instance_that_hang_on_ours_are_refused(system: System) -> None:
    """A neighbour's bot uses this instance's credentials: the database would delete it along."""
    mine, other = (seed_instance(system.deployment, name) for name in ("lender", "borrower"))
    with system.deployment.connect() as connection:
        connection.execute(
            'UPDATE "OpenaiBot" SET "openaiCredsId" = (SELECT id FROM "OpenaiCreds" WHERE "instanceId" = %s LIMIT 1)'
            ' WHERE "instanceId" = %s',
            (mine.id, other.id),
        )
    before, services = fingerprint(system.deployment), system.make_services()
    deletion_id = accept(services, mine.id, "lender")

    run_all(services, deletion_id)

    status, _, reason = outcome(services, deletion_id)
    assert status == "failed"
    assert '"OpenaiBot"' in str(reason)
    assert fingerprint(system.deployment) == before
    services.close()


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"files_root": "/nonexistent/evolution"}, "failed", "files root"),
        ({"s3_bucket": "no-such-bucket"}, "failed", "bucket does not exist"),
        ({"gateway_key": "wrong"}, "failed", "does not accept the global key"),
        ({"s3_endpoint": "http://127.0.0.1:1"}, "waiting", "bucket cannot be reached"),
        ({"cache_url": "redis://127.0.0.1:1/0"}, "waiting", "cache cannot be reached"),
        ({"gateways": ("http://127.0.0.1:1",)}, "waiting", "gateway http://127.0.0.1:1 cannot be reached"),
    ],
)
def test_a_store_that_cannot_be_worked_on_stops_it_before_logout(
    system: System, changes: dict[str, Any], status: str, words: str
) -> None:
    """What is wrong for good fails, what may come back waits, and nothing has been touched."""
    instance = seed_instance(system.deployment, "untouched")
    system.gateways[0].load()
    before = fingerprint(system.deployment)
    services = _with(system, changes)
    deletion_id = accept(services, instance.id, "untouched")

    run_all(services, deletion_id)

    found = outcome(services, deletion_id)
    assert found[:2] == (status, "logout")
    assert words in str(found[2])
    assert system.gateways[0].sessions["untouched"] == "open"
    assert fingerprint(system.deployment) == before
    services.close()


def test_evolutions_working_directory_without_its_folders_is_worked_on(system: System) -> None:
    """A server that keeps its sessions in Redis makes neither: there are no files, and all else goes."""
    instance = seed_instance(system.deployment, "in redis")
    root = system.folder / "bare"
    (root / "node_modules").mkdir(parents=True)
    (root / "package.json").write_text('{"name": "evolution-api"}')
    services = _with(system, {"files_root": root})
    deletion_id = accept(services, instance.id, "in redis")

    run_all(services, deletion_id)

    assert outcome(services, deletion_id) == ("succeeded", None, None)
    services.close()


def _with(system: System, changes: dict[str, Any]) -> Services:
    from shared import services
    from shared.settings import Settings

    values = {name: getattr(system.settings, name) for name in Settings.model_fields}
    return services.create(Settings(**{**values, **changes}))
