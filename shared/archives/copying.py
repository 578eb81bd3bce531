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
        _check(_result(connection), ExecStatus.COPY_OUT)
        while True:
            length, row = connection.get_copy_data(1)
            if length > 0:
                yield row
            elif length == 0:
                _wait(connection)
            else:
                break
        result = _result(connection)
        is_over = _result(connection) is None
        _check(result, ExecStatus.COMMAND_OK)
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


def _check(result: PGresult | None, wanted: ExecStatus) -> None:
    if result is None or result.status != wanted:
        raise psycopg.errors.error_from_result(result) if result else psycopg.OperationalError("no answer")
