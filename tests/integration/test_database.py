"""Connections after their server was restarted."""

import time
from pathlib import Path

import pytest

from demo.parts import Postgres
from shared import database
from shared.database import own_transaction
from shared.errors import Unreachable


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
