"""Connections after their server was restarted."""

import time
from pathlib import Path

import pytest

from demo.parts import Postgres
from shared import database
from shared.database import own_transaction
from shared.errors import TransientError, Unreachable

REFUSED = """
CREATE TABLE guarded (id int);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'row of 5511987650001 stays'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def test_a_trigger_that_refuses_is_named_without_its_words(postgres_part: Postgres) -> None:
    """Its function is what somebody has to look at; its message may hold a customer's data."""
    engine = database.connect(postgres_part.create_database("guarded"), name="test")
    with own_transaction(engine) as connection:
        connection.exec_driver_sql(REFUSED)

    with pytest.raises(TransientError) as refused, own_transaction(engine) as connection:
        connection.exec_driver_sql("INSERT INTO guarded VALUES (1)")

    engine.dispose()
    assert refused.value.title == "the own database refused a statement in the function refuse: RaiseException (P0001)"


def test_an_idle_connection_is_asked_before_it_is_used(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Who comes after a restart finds living connections, all of them; who comes in the middle is told."""
    folder: Path = tmp_path_factory.mktemp("restarted")
    server = Postgres.start(folder, fast=True)
    engine = database.connect(server.url, name="test", pool_size=3)
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
