"""`lethe doctor` says what is wrong and what to do, and creates the indexes that are missing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from redis import Redis as Client

from demo.evolution.seed import seed_instance
from demo.parts import DATABASES, Redis
from demo.ports import server_port
from shared.access import one_time_codes
from shared.database.enums import Role
from shared.evolution.rows import missing_indexes
from shared.services import Services
from tests.integration.keyring import make_key, revoke
from tests.integration.shell import lethe
from tests.system import System, running

INDEX = "lethe_Message_sessionId_idx"


@pytest.fixture
def system(fresh_system: System) -> System:
    """A deployment without processes."""
    return fresh_system


@pytest.fixture
def services(fresh_services: Services) -> Services:
    """For code that runs here."""
    return fresh_services


def examine(system: System, **changes: str) -> dict[str, dict[str, Any]]:
    """What the command reports to a script, by part; of several about one part, the last."""
    answer = lethe(system, "doctor", "--json", **changes)
    assert "Traceback" not in answer.stderr
    return {row["part"]: row for row in json.loads(answer.stdout)}


def indexes(system: System) -> dict[str, bool]:
    """The tenant database's indexes, and whether each is valid."""
    with system.deployment.connect() as connection:
        return dict(
            connection.execute("SELECT indexrelid::regclass::text, indisvalid FROM pg_index").fetchall()  # type: ignore[arg-type]
        )


def test_a_running_system_is_ok(system: System) -> None:
    """Exit code 0, and every part is named."""
    seed_instance(system.deployment, "patient")
    with running(system, "worker", "beat"):
        answer = wait_until_well(system)

    parts = {row["part"]: row["verdict"] for row in json.loads(answer)}
    assert set(parts) == {
        "own database",
        "tenant database",
        "schema",
        "rights",
        "confirmation",
        "keys",
        "redis",
        "broker",
        "workers",
        "reconciler",
        "scheduled",
        "time stamps",
        f"gateway {system.gateways[0].url}",
        "servers",
        "cache",
        "files root",
        "bucket",
        "index",
        "row triggers",
        "rehearsal",
        "not covered",
    }
    assert "broken" not in parts.values()


def test_it_says_whether_evolutions_clients_need_another_key(system: System) -> None:
    """The global key may delete by a setting; it should not be the key that may do everything."""
    other, allowed = examine(system), examine(system, LETHE_GATEWAY_KEY_MAY_DELETE="true")
    same = examine(system, LETHE_ADMIN_KEY=system.settings.gateway_key.get_secret_value())

    assert [each["keys"]["verdict"] for each in (other, allowed, same)] == ["ok", "ok", "warning"]
    assert "get 401" in other["keys"]["says"]
    assert "lethe keys create" in other["keys"]["advice"]
    assert "unchanged" in allowed["keys"]["says"]
    assert "LETHE_GATEWAY_KEY_MAY_DELETE" in same["keys"]["advice"]


@pytest.mark.parametrize(("role", "verdict"), [(None, "warning"), (Role.VIEWER, "warning"), (Role.ADMIN, "ok")])
def test_missing_one_time_codes_are_reported(
    system: System, services: Services, role: Role | None, verdict: str
) -> None:
    """When they are required, a key that may delete needs them; a revoked key does not count."""
    for each in filter(None, [role, Role.ADMIN]):
        key = make_key(services, each)
        with services.own.begin() as connection:
            one_time_codes.enroll(connection, services.settings, key.id)
        if each is not role:
            revoke(services, key)

    found = examine(system, LETHE_CONFIRMATION="totp")["confirmation"]

    assert found["verdict"] == verdict
    assert ("lethe keys enroll-totp" in found["advice"]) is (verdict == "warning")


def wait_until_well(system: System) -> str:
    """The report, once beat has ticked for the first time."""
    for _ in range(20):
        answer = lethe(system, "doctor", "--json")
        if answer.returncode == 0:
            return answer.stdout
    pytest.fail(answer.stdout)


def test_without_processes_it_says_what_to_start(system: System) -> None:
    """Exit code 1."""
    answer = lethe(system, "doctor")

    assert answer.returncode == 1
    assert "workers: none answers" in answer.stdout
    assert "reconciler: has never run" in answer.stdout
    assert "start the Procfile's beat" in answer.stdout
    assert "; the first round comes " in answer.stdout


@pytest.mark.parametrize(
    ("variable", "value", "part", "says"),
    [
        ("DATABASE_URL", "postgresql://x:hidden-word@127.0.0.1:{port}/x", "own database", "refused"),
        ("TENANT_DATABASE_URL", "postgresql://x:hidden-word@127.0.0.1:{port}/x", "tenant database", "refused"),
        ("TENANT_SCHEMA", "nowhere", "schema", "no tables of Evolution"),
        ("REDIS_URL", "redis://:hidden-word@127.0.0.1:{port}/0", "redis", "refused"),
        ("CACHE_URL", "redis://127.0.0.1:{port}/0", "cache", "refused"),
        ("FILES_ROOT", "/nonexistent", "files root", "No such file"),
        ("S3_BUCKET", "nobodys-bucket", "bucket", "does not exist"),
        ("CACHE_PREFIX", "another", "cache", "has no key that begins with another:"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(
    system: System, variable: str, value: str, part: str, says: str
) -> None:
    """All parts are checked, also when one is broken; no password is shown."""
    seed_instance(system.deployment, "patient")

    found = examine(system, **{f"LETHE_{variable}": value.format(port=server_port())})

    assert found[part]["verdict"] in ("broken", "warning")
    assert says in found[part]["says"]
    assert found[part]["advice"]
    assert len(found) >= 10
    assert "hidden-word" not in json.dumps(found)


def test_an_empty_cache_beside_connected_instances_is_said(system: System) -> None:
    """Their session keys must be somewhere; without one that is connected, an empty cache is as good as any."""
    empty = {"LETHE_CACHE_URL": f"{system.deployment.cache_url.rpartition('/')[0]}/{DATABASES - 1}"}
    seed_instance(system.deployment, "closed", status="close")

    closed = examine(system, **empty)["cache"]
    seed_instance(system.deployment, "patient")
    connected = examine(system, **empty)["cache"]

    assert (closed["verdict"], connected["verdict"]) == ("ok", "warning")
    assert "is empty, while instances are connected: 1" in connected["says"]
    assert "CACHE_REDIS_SAVE_INSTANCES" in connected["advice"]
    assert "LETHE_CACHE_URL" in connected["advice"]


def bare_root(system: System) -> str:
    """A files root that no instance has a folder in."""
    root = system.folder / "bare"
    (root / "instances" / str(uuid4())).mkdir(parents=True)
    return str(root)


def test_a_files_root_without_a_folder_of_any_instance_is_said(system: System) -> None:
    """It may be another server's; without instances nothing can be told."""
    wrong = {"LETHE_FILES_ROOT": bare_root(system), "LETHE_CACHE_URL": ""}

    nobody = examine(system, **wrong)["files root"]
    seed_instance(system.deployment, "patient")
    somebody, right = (examine(system, **each)["files root"] for each in (wrong, {}))

    assert [found["verdict"] for found in (nobody, somebody, right)] == ["ok", "warning", "ok"]
    assert "no instance has a folder in LETHE_FILES_ROOT (instances: 1)" in somebody["says"]
    assert somebody["advice"]


def test_a_dead_cache_hides_no_storage(system: System) -> None:
    """It is said of the cache alone."""
    seed_instance(system.deployment, "patient")
    dead = f"redis://127.0.0.1:{server_port()}/0"

    found = examine(system, LETHE_FILES_ROOT=bare_root(system), LETHE_CACHE_URL=dead)

    assert [found[part]["verdict"] for part in ("cache", "files root", "bucket")] == ["broken", "warning", "ok"]


def test_sessions_that_are_in_the_cache_need_no_folder(system: System) -> None:
    """As with CACHE_REDIS_SAVE_INSTANCES, where the server makes none."""
    seed_instance(system.deployment, "patient")

    found = examine(system, LETHE_FILES_ROOT=bare_root(system))["files root"]

    assert found["verdict"] == "ok"
    assert "sessions are in the cache" in found["says"]


def test_a_replica_that_cannot_be_asked_is_said(system: System) -> None:
    """A deletion would not wait for it, and nobody would know."""
    dead = f"postgresql://x@127.0.0.1:{server_port()}/x"
    alive = system.settings.tenant_database_url.get_secret_value()

    found = examine(system, LETHE_REPLICA_URLS=f"{dead},{alive}")

    assert [found[f"replica {number}"]["verdict"] for number in (1, 2)] == ["warning", "ok"]
    assert "LETHE_REPLICA_URLS" in found["replica 1"]["advice"]


def test_a_dead_tenant_database_is_not_reported_as_a_wrong_schema(system: System) -> None:
    """One cause has one remedy."""
    found = examine(system, LETHE_TENANT_DATABASE_URL=f"postgresql://x@127.0.0.1:{server_port()}/x")

    assert "LETHE_TENANT_DATABASE_URL" in found["tenant database"]["advice"]
    assert found["schema"]["advice"] == "fix the tenant database first"


def test_the_advice_for_a_dead_broker_names_its_setting(system: System) -> None:
    """Which is LETHE_REDIS_URL where no broker is named."""
    found = examine(system, LETHE_REDIS_URL=f"redis://127.0.0.1:{server_port()}/0")

    assert "LETHE_REDIS_URL" in found["broker"]["advice"]


def test_a_wrong_gateway_key_and_a_dead_gateway_are_told_apart(system: System) -> None:
    """One needs another setting, the other a running server."""
    seed_instance(system.deployment, "known")
    url = system.gateways[0].url
    dead = f"http://127.0.0.1:{server_port()}"

    found = examine(system, LETHE_GATEWAY_KEY="wrong", LETHE_GATEWAYS=f"{url},{dead}")

    assert "does not accept the global key" in found[f"gateway {url}"]["says"]
    assert "LETHE_GATEWAY_KEY" in found[f"gateway {url}"]["advice"]
    assert "cannot be reached" in found[f"gateway {dead}"]["says"]


def test_a_redis_that_may_lose_something_is_named(make_system: Callable[..., System], tmp_path: Path) -> None:
    """By throwing keys away when it is full, or all of them when it restarts."""
    redis = Redis.start(tmp_path)
    system = make_system(redis_url=redis.url)
    with Client.from_url(redis.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")

    answer = lethe(system, "doctor")

    assert "maxmemory-policy allkeys-lru" in answer.stdout
    assert "set appendonly yes" in answer.stdout
    redis.stop()


def test_missing_rights_come_with_the_sql_for_the_owner(system: System) -> None:
    """For a role that may not delete, and owns no table: neither grant nor index are within its reach."""
    url, role = role_without_rights(system)

    found = examine(system, LETHE_TENANT_DATABASE_URL=url)
    fixed = lethe(system, "doctor", "--fix", "--yes", LETHE_TENANT_DATABASE_URL=url)

    assert "lacks" in found["rights"]["says"]
    assert (
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};" in found["rights"]["advice"]
    )
    assert fixed.returncode == 1
    assert f'CREATE INDEX CONCURRENTLY IF NOT EXISTS "{INDEX}" ON "public"."Message" ("sessionId");' in fixed.stdout
    assert "The other indexes are for the owner of their tables" in fixed.stderr
    assert INDEX not in str(indexes(system))


def role_without_rights(system: System) -> tuple[str, str]:
    """The URL of a role that may only read, and its name."""
    parts = urlsplit(system.deployment.database_url)
    role = f"reader_of_{parts.path[1:]}"
    with system.deployment.connect() as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    return parts._replace(netloc=f"{role}:secret@{parts.netloc.rpartition('@')[2]}").geturl(), role


def test_a_table_owner_who_is_no_superuser_can_create_them(system: System) -> None:
    """One by one, under names that can be foretold; the second run has nothing to do."""
    url, role = role_without_rights(system)
    with system.deployment.connect() as connection:
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
        for (table,) in connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        ).fetchall():
            connection.execute(f'ALTER TABLE "{table}" OWNER TO {role}')

    asked = lethe(system, "doctor", "--fix", typed="n\n", LETHE_TENANT_DATABASE_URL=url)
    first = lethe(system, "doctor", "--fix", "--yes", LETHE_TENANT_DATABASE_URL=url)
    second = lethe(system, "doctor", "--fix", LETHE_TENANT_DATABASE_URL=url)

    assert asked.returncode == 1
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert f"{INDEX}: created" in first.stdout
    assert "No index is missing" in second.stdout
    assert indexes(system)[f'"{INDEX}"'] is True


def test_an_index_that_an_interrupted_run_left_is_replaced(system: System, services: Services) -> None:
    """PostgreSQL keeps it, invalid: it costs every write and serves no query."""
    (missing,) = (each for each in missing_indexes.find(services.tenant) if each.name == INDEX)
    with (
        psycopg.connect(system.deployment.database_url, autocommit=True) as builder,
        system.deployment.connect() as busy,
    ):
        busy.execute('LOCK TABLE "Message" IN ROW EXCLUSIVE MODE')
        builder.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            builder.execute(missing.statement("public"))  # type: ignore[arg-type]
    assert indexes(system).get(f'"{INDEX}"') is False

    missing_indexes.create(services.tenant, missing)

    assert indexes(system)[f'"{INDEX}"'] is True
    assert INDEX not in [each.name for each in missing_indexes.find(services.tenant)]


def test_the_cost_of_a_missing_index_is_told_in_words(system: System, services: Services) -> None:
    """Rows of the table, times that one deletion reads it; the most expensive comes first."""
    for number in range(2):
        seed_instance(system.deployment, f"patient {number}", messages=2_000, sessions=50)
    with system.deployment.connect() as connection:
        connection.execute("ANALYZE")

    first = missing_indexes.find(services.tenant)[0]

    assert (first.table, first.column, first.parent) == ("Message", "sessionId", "IntegrationSession")
    assert (first.rows, first.searches) == (4_000, 50)
    assert first.is_costly
    assert 'reads all of "Message" (about 4,000 rows' in first.cost
    assert "50 times" in first.cost
    reader, _ = role_without_rights(system)
    assert "creates" in examine(system)["index"]["advice"]
    assert "for the owner of the table" in examine(system, LETHE_TENANT_DATABASE_URL=reader)["index"]["advice"]


def test_each_unindexed_key_of_the_schema_is_found(services: Services) -> None:
    """Every one that PostgreSQL itself would scan a table for, and nothing that an index serves."""
    found = {(each.table, each.column) for each in missing_indexes.find(services.tenant)}

    assert {("Message", "sessionId"), ("Media", "instanceId"), ("Label", "instanceId")} <= found
    assert not {("Message", "instanceId"), ("MessageUpdate", "messageId"), ("Session", "sessionId")} & found


def test_a_partial_index_and_one_of_another_kind_do_not_count(system: System, services: Services) -> None:
    """They cannot find the rows of a key."""
    with system.deployment.connect() as connection:
        connection.execute('CREATE INDEX of_one ON "Message" ("sessionId") WHERE "sessionId" = \'x\'')
        connection.execute('CREATE INDEX blocks ON "Message" USING brin ("sessionId")')

    assert INDEX in [each.name for each in missing_indexes.find(services.tenant)]
