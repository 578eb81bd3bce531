"""COPY TO STDOUT, row by row: psycopg's own copy() takes more time for each row than PostgreSQL does."""

import select
from collections.abc import Iterator, Mapping
from typing import LiteralString

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult


def rows(driver: psycopg.Connection, statement: LiteralString, values: Mapping[str, object]) -> Iterator[memoryview]:
    """What the statement sends, in COPY's text format; the connection is closed when this is not read to its end."""
    connection, is_over = driver.pgconn, False
    try:
        connection.send_query(psycopg.ClientCursor(driver).mogrify(statement, values).encode())
        result = _result(connection)
        if result is not None and result.status == ExecStatus.COPY_OUT:
            while (data := connection.get_copy_data(1))[0] >= 0:
                if data[0]:
                    yield data[1]
                else:
                    _wait(connection)
            result = _result(connection)
        is_over = result is None or _result(connection) is None
        if result is None or result.status != ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(result) if result else psycopg.OperationalError("no answer")
    finally:
        if not is_over:
            driver.close()


def _result(connection: PGconn) -> PGresult | None:
    while connection.is_busy():
        _wait(connection)
    return connection.get_result()


def _wait(connection: PGconn) -> None:
    """Let other threads work until the server has sent something; the statement's time limit bounds it."""
    connection.flush()
    socket = select.poll()
    socket.register(connection.socket, select.POLLIN)
    socket.poll()
    connection.consume_input()
