"""What becomes of a deletion when PostgreSQL refuses in the middle: fail at once, wait, or read the tables anew."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from demo.evolution.seed import seed_instance
from shared.database.models import Deletion
from shared.deletions import display
from shared.evolution.rows.schema import Plan
from shared.services import Services
from tests.integration.inline import accept, run_steps, run_to_end
from tests.system import System

BEFORE = ("logout", "purge_cache", "send_webhook", "deregister")


def deletion_of(services: Services, deletion_id: UUID) -> Deletion:
    """As the API shows it."""
    found = display.load(services.own, deletion_id)
    assert found is not None
    return found


@contextmanager
def guarded_chats(system: System, statement: str) -> Iterator[None]:
    """A trigger of an operator's stands in the way."""
    function = "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {}; RETURN OLD; END $$"
    with system.deployment.connect() as connection:
        connection.execute(sql.SQL(function).format(sql.SQL(statement)))  # type: ignore[arg-type]
        connection.execute('CREATE TRIGGER guard BEFORE DELETE ON "Chat" FOR EACH ROW EXECUTE FUNCTION guard()')
    yield
    with system.deployment.connect() as connection:
        connection.execute("DROP FUNCTION guard CASCADE")


def test_what_will_never_work_fails_at_once_and_needs_an_operator(system: System, services: Services) -> None:
    """After the point of no return: with the server's words, one failure, and a hint; the same call goes on."""
    instance = seed_instance(system.deployment, "in the way")
    deletion_id = accept(services, instance.id, "in the way")
    run_steps(services, deletion_id, *BEFORE)

    with guarded_chats(system, 'INSERT INTO guards VALUES (OLD."remoteJid")'):
        run_steps(services, deletion_id, "delete_records")
        shown = system.show(str(deletion_id))
        metrics = system.send("GET", "/metrics", key=None).text
    again = system.delete("in the way", Prefer="respond-async")
    run_steps(services, deletion_id, "delete_records", "delete_files", attempt=2)

    assert shown["status"] == "failed"
    assert shown["needsOperator"] is True
    assert shown["reason"] == (
        "the tenant database refused a statement in the function guard:"
        ' relation "guards" does not exist (SQLSTATE 42P01)'
    )
    assert "docs/operations/errors.md#sqlstate-42p01" in shown["hint"]
    assert [step["failures"] for step in shown["steps"] if step["name"] == "delete_records"] == [1]
    assert "lethe_deletions_need_operator 1.0" in metrics
    assert again.status == 202
    assert deletion_of(services, deletion_id).needs_operator is False


def test_a_database_that_refuses_for_now_is_waited_for(system: System, services: Services) -> None:
    """Without a failure, and it goes on by itself."""
    instance = seed_instance(system.deployment, "set read-only")
    deletion_id = accept(services, instance.id, "set read-only")
    run_steps(services, deletion_id, *BEFORE)

    set_read_only(system, "on")
    services.tenant.engine.dispose()
    run_steps(services, deletion_id, "delete_records")
    waiting = deletion_of(services, deletion_id)
    ready = system.send("GET", "/health/ready", key=None)
    set_read_only(system, "off")
    services.tenant.engine.dispose()

    assert (waiting.status, waiting.failures) == ("waiting", 0)
    assert waiting.reason is not None
    assert waiting.reason.startswith("the tenant database refuses for now: cannot execute ")
    assert waiting.reason.endswith(" in a read-only transaction (SQLSTATE 25006)")
    assert (ready.status, ready.body["checks"]["tenant_database"]) == (503, "read-only")


def set_read_only(system: System, value: str) -> None:
    """Of the whole tenant database, for connections that are made from now on."""
    with system.deployment.connect() as connection:
        connection.execute("SET transaction_read_only = off")
        name = sql.Identifier(connection.info.dbname)
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}").format(name, sql.SQL(value))
        )
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_tables_that_are_migrated_under_a_step_are_read_anew(
    system: System, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: the plan that the step went by is no longer true, and the next one is."""
    with system.deployment.connect() as connection:
        connection.execute(
            'CREATE TABLE "Draft" (id int, "instanceId" text NOT NULL REFERENCES "Instance" ON DELETE CASCADE)'
        )
    instance = seed_instance(system.deployment, "migrated")
    deletion_id = accept(services, instance.id, "migrated")
    run_steps(services, deletion_id, *BEFORE)

    monkeypatch.setattr(services.tenant, "plan", migrating(services, system.deployment.connect))
    run_steps(services, deletion_id, "delete_records")
    monkeypatch.undo()
    run_to_end(services, deletion_id)

    ended = deletion_of(services, deletion_id)
    assert (ended.status, [step.failures for step in ended.steps]) == ("succeeded", [0] * 7)


def migrating(services: Services, connect: Callable[[], psycopg.Connection]) -> Callable[[], Plan]:
    """A plan that is old as soon as it was made, the first time."""
    read, done = services.tenant.plan, list[bool]()

    def plan() -> Plan:
        made = read()
        if not done:
            done.append(True)
            with connect() as connection:
                connection.execute('DROP TABLE "Draft"')
        return made

    return plan
