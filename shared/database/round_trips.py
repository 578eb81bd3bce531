"""Statements of one transaction that go to PostgreSQL together, in one round trip, with psycopg's pipeline mode."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from typing import Any, LiteralString, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


@lru_cache(1_000)
def compiled(statement: str) -> LiteralString:
    """A statement with :names as the driver writes them."""
    return cast(LiteralString, text(statement).compile(dialect=_DIALECT).string)  # type: ignore[redundant-cast]


def limits(statement_seconds: float, lock_seconds: float = 5) -> dict[str, str]:
    """Settings of a transaction on a database that is not Lethe's own."""
    return {
        "statement_timeout": f"{int(statement_seconds * 1000)}",
        "lock_timeout": f"{int(lock_seconds * 1000)}",
        # So that PostgreSQL raises an error instead of hiding rows from a role that row-level security limits.
        "row_security": "off",
    }


def setting(values: Mapping[str, str]) -> str:
    """One statement for SET LOCAL of several settings: with PgBouncer the next transaction is another client's."""
    return "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in values.items())


def run(
    engine: Engine, settings: Mapping[str, str], statements: Sequence[str], values: Mapping[str, object]
) -> list[psycopg.Cursor[tuple[Any, ...]]]:
    """Run statements in one transaction, under settings of its own; what each one found.

    PostgreSQL takes a pipeline for one transaction, all or nothing, without BEGIN and COMMIT.
    """
    with _without_begin(engine) as driver, driver.pipeline():
        driver.execute(compiled(setting(settings)))
        return [driver.execute(compiled(statement), values) for statement in statements]


@contextmanager
def driver_of(engine: Engine) -> Iterator[psycopg.Connection]:
    """The driver's connection. What is given back with an open transaction is rolled back by the pool."""
    with closing(engine.raw_connection()) as pooled:
        driver = pooled.driver_connection
        assert isinstance(driver, psycopg.Connection)
        yield driver


@contextmanager
def _without_begin(engine: Engine) -> Iterator[psycopg.Connection]:
    with closing(engine.raw_connection()) as pooled:
        driver = pooled.driver_connection
        assert isinstance(driver, psycopg.Connection)
        driver.autocommit = True
        try:
            yield driver
        finally:
            if driver.info.transaction_status == TransactionStatus.IDLE:
                driver.autocommit = False
            else:  # interrupted: the next user must not get a connection that sends no BEGIN
                pooled.invalidate()
