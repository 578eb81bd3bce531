"""Connections after their server was restarted, and transactions with settings of their own."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, Engine

from demo.parts import Postgres
from shared.database import connections
from shared.database.connections import begin_with, own_transaction
from shared.errors import RefusedByServer, TookTooLong, TransientError, Unreachable
from shared.evolution.rows.tenant import Tenant

REFUSED = """
CREATE TABLE guarded (id int);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'row of 5511987650001 stays'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def test_a_trigger_that_refuses_is_named_without_its_words(postgres_part: Postgres) -> None:
    """An operator has to look at its function; its message may hold a customer's data."""
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


def test_a_closed_connection_is_noticed_before_it_is_used(tmp_path_factory: pytest.TempPathFactory) -> None:
    """After a restart all connections work; a statement during it fails with an error that says so."""
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
    answers = []
    for _ in range(3):
        with own_transaction(engine) as connection:
            answers.append(connection.exec_driver_sql("SELECT 1").scalar_one())

    engine.dispose()
    server.stop()
    assert answers == [1, 1, 1]


def test_options_of_the_url_are_kept(postgres_part: Postgres) -> None:
    """Lethe adds its own, and wins where both set one."""
    url = f"{postgres_part.url}?options=-c%20work_mem%3D5MB%20-c%20lock_timeout%3D9s"
    engine = connections.connect(url, name="test", options="-c lock_timeout=5s")
    with engine.connect() as connection:
        found = [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in ("work_mem", "lock_timeout")]

    engine.dispose()
    assert found == ["5MB", "5s"]


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


def test_a_connection_that_died_a_moment_ago_costs_nothing(lone: Engine, postgres_part: Postgres) -> None:
    """Its end has arrived at the socket: the next transaction has a new one."""
    with psycopg.connect(postgres_part.url, autocommit=True) as server, lone.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        connection.close()
        server.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    with begin_with(lone, "SET LOCAL lock_timeout TO 1") as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_a_lost_transaction_is_not_repeated(lone: Engine, postgres_part: Postgres) -> None:
    """Nobody knows whether a COMMIT without an answer was done."""

    def insert_and_lose_it() -> None:
        with psycopg.connect(postgres_part.url, autocommit=True) as server, own_transaction(lone) as connection:
            connection.exec_driver_sql("INSERT INTO kept VALUES (1)")
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            server.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    with pytest.raises(Unreachable):
        insert_and_lose_it()

    with own_transaction(lone) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM kept").scalar_one() == 0


def test_a_setting_that_changes_while_a_connection_is_idle_is_no_end(lone: Engine, postgres_part: Postgres) -> None:
    """The server tells it without being asked, as it tells the end."""
    ask = "SELECT pg_backend_pid()"
    with own_transaction(lone) as connection:
        before = connection.exec_driver_sql(ask).scalar_one()
    with psycopg.connect(postgres_part.url, autocommit=True) as server:
        for value in ("'+3'", "DEFAULT"):
            server.execute(f"ALTER SYSTEM SET timezone TO {value}")  # type: ignore[arg-type]
            server.execute("SELECT pg_reload_conf(), pg_sleep(0.2)")

    with own_transaction(lone) as connection:
        assert connection.exec_driver_sql(ask).scalar_one() == before


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
    """And the next statement gets an answer."""
    tenant = Tenant(lone, "public")

    with pytest.raises(TookTooLong, match=r"canceling statement due to statement timeout \(SQLSTATE 57014\)"):
        tenant.ask("SELECT pg_sleep(30)", {}, statement_seconds=0.05)

    assert tenant.ask("SELECT CAST(:n AS int)", {"n": 1}) == [(1,)]


def test_a_question_on_a_connection_that_died_a_moment_ago_costs_nothing(lone: Engine, postgres_part: Postgres) -> None:
    """As for a transaction."""
    tenant = Tenant(lone, "public")
    ((pid,),) = tenant.ask("SELECT pg_backend_pid()", {})
    with psycopg.connect(postgres_part.url, autocommit=True) as server:
        server.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    assert tenant.ask("SELECT 1", {}) == [(1,)]


@pytest.mark.parametrize("rule", ["DO ALSO NOTHING", "DO INSTEAD NOTHING"])
def test_changes_of_several_tables_go_in_one_statement_or_in_several(lone: Engine, rule: str) -> None:
    """PostgreSQL takes no table with a rule into a statement with others."""
    tenant, change = Tenant(lone, "public"), "UPDATE {} SET n = n + 1 WHERE n = :n"
    changes, query = [change.format("kept"), change.format("other")], "SELECT sum(n) FROM other"
    with lone.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE other (n int); INSERT INTO kept VALUES (1), (1); INSERT INTO other VALUES (1)"
        )

    together = tenant.change(changes, {"n": 1}, [query])
    with lone.begin() as connection:
        connection.exec_driver_sql(f"CREATE RULE extra AS ON UPDATE TO other {rule}")
    apart = tenant.change(changes, {"n": 2}, [query])

    assert together == ([2, 1], [(2,)])
    assert apart == (([2, 1], [(3,)]) if rule == "DO ALSO NOTHING" else ([2, 0], [(2,)]))


def test_changes_that_a_trigger_makes_too_go_in_several_statements(lone: Engine) -> None:
    """A trigger of an operator's that removes the children first finds them; nothing is left."""
    tenant = Tenant(lone, "public")
    with lone.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE child (n int); INSERT INTO kept VALUES (1); INSERT INTO child VALUES (1)"
        )
        connection.exec_driver_sql(
            "CREATE FUNCTION clear() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN DELETE FROM child WHERE n = OLD.n; RETURN OLD; END $$;"
            "CREATE TRIGGER clear BEFORE DELETE ON kept FOR EACH ROW EXECUTE FUNCTION clear()"
        )

    changes = ["DELETE FROM kept WHERE n = :n", "DELETE FROM child WHERE n = :n"]
    assert tenant.change(changes, {"n": 1}, ["SELECT count(*) FROM child"])[1] == [(0,)]
