"""Connections after their server was restarted, and transactions with settings of their own."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, Engine

from demo.parts import Postgres
from shared.database import connections
from shared.database.connections import begin_with, own_transaction, translate_errors
from shared.errors import RefusedByServer, TookTooLong, TransientError, Unreachable
from shared.evolution.rows.tenant import Tenant

REFUSED = """
CREATE TABLE guarded (id int);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'row of 5511987650001 stays'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def test_a_trigger_that_refuses_is_named_without_its_words(postgres_part: Postgres) -> None:
    """Its function is what somebody has to look at; its message may hold a customer's data."""
    engine = connections.connect(postgres_part.create_database("guarded"), name="test")
    with own_transaction(engine) as connection:
        connection.exec_driver_sql(REFUSED)

    with pytest.raises(TransientError) as refused, own_transaction(engine) as connection:
        connection.exec_driver_sql("INSERT INTO guarded VALUES (1)")

    engine.dispose()
    assert (
        refused.value.title
        == "the own database refused a statement in the function refuse: RaiseException (SQLSTATE P0001)"
    )


def test_an_idle_connection_is_asked_before_it_is_used(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Who comes after a restart finds living connections, all of them; who comes in the middle is told."""
    folder: Path = tmp_path_factory.mktemp("restarted")
    server = Postgres.start(folder, fast=True)
    engine = connections.connect(server.url, name="test", pool_size=3)
    held = [engine.connect() for _ in range(3)]
    for connection in held:
        connection.close()

    server.kill()
    with pytest.raises(Unreachable), own_transaction(engine) as connection:
        connection.exec_driver_sql("SELECT 1")
    server.restart()
    time.sleep(1.1)  # longer than a connection may lie unasked
    answers = []
    for _ in range(3):
        with own_transaction(engine) as connection:
            answers.append(connection.exec_driver_sql("SELECT 1").scalar_one())

    engine.dispose()
    server.stop()
    assert answers == [1, 1, 1]


@pytest.fixture
def lone(postgres_part: Postgres) -> Iterator[Engine]:
    """An engine that has one connection, which all transactions share."""
    engine = connections.connect(postgres_part.create_database("begun"), name="lone", pool_size=1)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (n int)")
    yield engine
    engine.dispose()
    with psycopg.connect(postgres_part.url, autocommit=True) as server:
        server.execute("DROP DATABASE begun")


def test_a_transaction_with_settings_is_all_or_nothing_and_leaves_no_setting_behind(lone: Engine) -> None:
    """Though the driver takes each of its statements for one of its own."""
    timeout = "SHOW statement_timeout"
    with begin_with(lone, "SET LOCAL statement_timeout TO 1234") as connection:
        inside = connection.exec_driver_sql(timeout).scalar_one()
        connection.exec_driver_sql("INSERT INTO kept VALUES (1)")
    with pytest.raises(ZeroDivisionError), begin_with(lone, "SET LOCAL statement_timeout TO 1234") as connection:
        write_and_fail(connection, 2)
    with pytest.raises(ZeroDivisionError), lone.begin() as connection:
        write_and_fail(connection, 3)

    with lone.connect() as connection:
        after = connection.exec_driver_sql(timeout).scalar_one()
        kept = list(connection.exec_driver_sql("SELECT n FROM kept").scalars())
    assert (inside, after, kept) == ("1234ms", "0", [1])


def write_and_fail(connection: Connection, number: int) -> None:
    """What a step does that meets an error."""
    connection.exec_driver_sql(f"INSERT INTO kept VALUES ({number})")
    raise ZeroDivisionError


def test_a_connection_that_died_a_moment_ago_costs_one_try(lone: Engine, postgres_part: Postgres) -> None:
    """It was used too lately to be asked; the next transaction has a new one."""
    with psycopg.connect(postgres_part.url, autocommit=True) as server, lone.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        connection.close()
        server.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    with pytest.raises(Unreachable), translate_errors("it"), begin_with(lone, "SET LOCAL lock_timeout TO 1"):
        pass
    with begin_with(lone, "SET LOCAL lock_timeout TO 1") as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_what_goes_in_one_round_trip_is_all_or_nothing_and_leaves_no_setting_behind(lone: Engine) -> None:
    """However much it answers: the driver reads some of it before it has said everything."""
    tenant = Tenant(lone, "public")
    long = "INSERT INTO kept SELECT n FROM generate_series(1, 500) n RETURNING repeat('x', 10000)"

    with pytest.raises(RefusedByServer, match=r"division by zero \(SQLSTATE 22012\)"):
        tenant.run(["INSERT INTO kept VALUES (0)", "SELECT 1 / 0"], {})
    inside = tenant.ask("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')", {})
    done = tenant.run([long, "UPDATE kept SET n = n WHERE n = :n"], {"n": 7})
    rows = [cursor.rowcount for cursor in done]

    with lone.connect() as connection:
        after = connection.exec_driver_sql("SHOW statement_timeout").scalar_one()
        kept = connection.exec_driver_sql("SELECT min(n), count(*) FROM kept").one()
    assert (inside, rows, after, tuple(kept)) == ([("10s", "5s")], [500, 1], "0", (1, 500))


def test_a_question_is_given_up_in_time(lone: Engine) -> None:
    """And whoever asks next gets an answer."""
    tenant = Tenant(lone, "public")

    with pytest.raises(TookTooLong, match=r"canceling statement due to statement timeout \(SQLSTATE 57014\)"):
        tenant.ask("SELECT pg_sleep(30)", {}, statement_seconds=0.05)

    assert tenant.ask("SELECT CAST(:n AS int)", {"n": 1}) == [(1,)]


def test_a_question_on_a_connection_that_died_a_moment_ago_costs_one_try(lone: Engine, postgres_part: Postgres) -> None:
    """As it does for a transaction."""
    tenant = Tenant(lone, "public")
    ((pid,),) = tenant.ask("SELECT pg_backend_pid()", {})
    with psycopg.connect(postgres_part.url, autocommit=True) as server:
        server.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    with pytest.raises(Unreachable):
        tenant.ask("SELECT 1", {})

    assert tenant.ask("SELECT 1", {}) == [(1,)]
