"""Connections to PostgreSQL that notice a dead server in seconds, and transactions on the own database."""

import codecs
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.pq import Conninfo
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from shared import certificates
from shared.faults.postgresql import translate_errors as translate_errors
from shared.servers import postgresql
from shared.settings import Settings

_WITH_ROOTS = ("verify-ca", "verify-full")
_ASYNCHRONOUS_COMMIT = "SET LOCAL synchronous_commit TO off"


# Statements on the own database take milliseconds: one that takes seconds waits for something that is stuck. A process
# that hangs in a transaction would block all others, which wait for the head of the audit.
_TIMEOUTS = "-c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=10s"


def connect_own(settings: Settings, *, pool_size: int = 5) -> Engine:
    """An engine of the own database. Its statements, locks and idle transactions have time limits."""
    url, ca_file = settings.database_url.get_secret_value(), settings.ca_file
    return connect(url, name="own", pool_size=pool_size, options=_TIMEOUTS, ca_file=ca_file)


def connect(
    url: str | URL,
    *,
    name: str,
    pool_size: int = 5,
    options: str = "",
    may_be_standby: bool = False,
    ca_file: Path | None = None,
) -> Engine:
    """An engine whose connections are named lethe-<name> in pg_stat_activity and notice a dead server.

    Connections to a standby are not kept in the pool unless it may be one.
    """
    parsed = make_url(postgresql.for_sqlalchemy(url) if isinstance(url, str) else url)
    engine = create_engine(
        _with_roots(parsed, ca_file).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        pool_recycle=900,
        hide_parameters=True,  # an error in a log line must not show keys, names or webhooks
        connect_args={
            "application_name": f"lethe-{name}",
            "connect_timeout": 3,
            # In the start-up packet, which wins over ALTER ROLE and ALTER DATABASE; PgBouncer keeps it for each client.
            "client_encoding": "UTF8",
            # A server that disappears without an answer is noticed after about 10 s, not after 2 hours.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            # PgBouncer in transaction mode cannot keep server-side prepared statements.
            "prepare_threshold": None,
            # The URL's own come first: of two values of a parameter, PostgreSQL takes the last one.
            "options": " ".join(filter(None, (str(parsed.query.get("options", "")), options))),
        },
    )
    event.listen(engine, "checkout", _replace_if_closed)
    if not may_be_standby:
        event.listen(engine, "checkin", _leave_standby)
    return engine


def _with_roots(url: URL, ca_file: Path | None) -> URL:
    """The URL with sslrootcert, where its sslmode wants roots and names none.

    Elsewhere a file of roots would change the mode: `require` then means `verify-ca`.
    """
    path = certificates.bundle(ca_file)
    said = {each.keyword.decode(): each.val for each in Conninfo.get_defaults()}  # with PGSSLMODE and PGSSLROOTCERT
    mode, roots = (url.query.get(name) or (said.get(name) or b"").decode() for name in ("sslmode", "sslrootcert"))
    return url.update_query_dict({"sslrootcert": path}) if path and mode in _WITH_ROOTS and not roots else url


def _replace_if_closed(connection: Any, record: ConnectionPoolEntry, _: object) -> None:  # noqa: ARG001 - as the pool calls it
    """Look at the socket, which costs no round trip: a server that has closed it has sent that.

    A connection that is closed makes the pool close all, and open new ones.
    """
    try:
        if _has_news(connection.fileno()):  # mostly its end; a changed setting is news as well
            connection.execute("SELECT 1")
            connection.rollback()
    except psycopg.Error as error:
        raise InvalidatePoolError("the server was away") from error


def _leave_standby(connection: psycopg.Connection | None, record: ConnectionPoolEntry) -> None:
    """After a failover behind one address: the next connection may find the primary. Servers tell it unasked."""
    if connection is not None and connection.pgconn.parameter_status(b"in_hot_standby") == b"on":
        record.invalidate(soft=True)


def _has_news(descriptor: int) -> bool:
    """Whether the server has sent something that was not asked for."""
    socket = select.poll()
    socket.register(descriptor, select.POLLIN)
    return bool(socket.poll(0))


@contextmanager
def own_transaction(engine: Engine, *, durable: bool = True) -> Iterator[Connection]:
    """A transaction on the own database, with translated errors.

    durable=False commits asynchronously: a crash of PostgreSQL may lose it. Use it only for what a retried step writes
    again.
    """
    with (
        translate_errors("the own database"),
        engine.begin() if durable else begin_with(engine, _ASYNCHRONOUS_COMMIT) as connection,
    ):
        yield connection


@contextmanager
def own_statement(engine: Engine) -> Iterator[Connection]:
    """A connection for one statement that is its own transaction: one round trip instead of three."""
    with (
        translate_errors("the own database"),
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        yield connection


@contextmanager
def begin_with(engine: Engine, set_local: str) -> Iterator[Connection]:
    """A transaction that begins with SET LOCAL statements, in one round trip."""
    # AUTOCOMMIT: the driver sends no BEGIN by itself, but still sends COMMIT or ROLLBACK.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection, connection.begin():
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        driver.execute(f"BEGIN; {set_local}")
        yield connection


def codec_of(encoding: str) -> str:
    """Python's name of PostgreSQL's encoding; UTF-8 for one that Python does not know, or that holds any bytes."""
    try:
        return codecs.lookup(encoding.replace("WIN", "cp") if encoding != "SQL_ASCII" else "utf-8").name
    except LookupError:
        return "utf-8"


def accepts_writes(engine: Engine) -> bool:
    """Whether the server accepts writes: False on a standby or with default_transaction_read_only.

    Raises when the server cannot be reached.
    """
    with engine.connect() as connection:
        return connection.execute(text("SELECT current_setting('transaction_read_only')")).scalar() == "off"
