"""What real servers answer, and what Lethe makes of it: wait, try again or fail, in their own words and no values."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis as Client
from sqlalchemy import Engine

from demo.parts import Postgres, Redis
from shared.database import connections, migrate
from shared.database.connections import translate_errors
from shared.errors import (
    LetheError,
    NotThere,
    RefusedByServer,
    RefusesForNow,
    RequirementNotMet,
    TookTooLong,
    TransientError,
    Unreachable,
)
from shared.evolution.cache.cache import Cache
from shared.evolution.rows.tenant import Tenant
from shared.faults.sentences import advice_for

VALUE = "a secret of 5511987650001"
SCHEMA = f"""
CREATE TABLE kept (n int PRIMARY KEY, word varchar(30) NOT NULL CHECK (word <> 'no'));
CREATE TABLE child (n int REFERENCES kept);
INSERT INTO kept VALUES (1, '{VALUE}');
INSERT INTO child VALUES (1);
CREATE TABLE published (n int);
INSERT INTO published VALUES (1);
CREATE PUBLICATION everything FOR TABLE published;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'stays: %', OLD USING ERRCODE = '23514'; END $$;
CREATE TABLE guarded (word text);
INSERT INTO guarded VALUES ('{VALUE}');
CREATE TRIGGER refuse BEFORE DELETE ON guarded FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE ROLE nobody_in_particular;
"""
# A statement, the error it ends with, what is said of it, and the code.
STATEMENTS: list[tuple[str, type[LetheError], str, str]] = [
    ("SET transaction_read_only = on; DELETE FROM kept", RefusesForNow, "read-only transaction", "25006"),
    ("SET lock_timeout = 50; DELETE FROM kept", RefusesForNow, "lock timeout", "55P03"),
    ("SET statement_timeout = 50; SELECT pg_sleep(9)", TookTooLong, "statement timeout", "57014"),
    ("DELETE FROM kept WHERE n = 1", TransientError, 'constraint "child_n_fkey" on table "child"', "23503"),
    ("DELETE FROM nowhere", NotThere, 'relation "nowhere" does not exist', "42P01"),
    ("SELECT nothing FROM kept", NotThere, 'column "nothing" does not exist', "42703"),
    (f"INSERT INTO kept VALUES (1, '{VALUE}')", RefusedByServer, 'unique constraint "kept_pkey"', "23505"),
    ("INSERT INTO kept VALUES (2, 'no')", RefusedByServer, 'check constraint "kept_word_check"', "23514"),
    (f"SELECT '{VALUE}'::uuid", RefusedByServer, "invalid input syntax for type uuid: …", "22P02"),
    ("SELECT 1 / 0", RefusedByServer, "division by zero", "22012"),
    ("SET ROLE nobody_in_particular; SELECT 1 FROM kept", RefusedByServer, "permission denied for table kept", "42501"),
    ("DELETE FROM published", RefusedByServer, "does not have a replica identity", "55000"),
    ("DELETE FROM guarded", RefusedByServer, "in the function refuse: CheckViolation", "23514"),
]


@pytest.fixture(scope="module")
def engine(postgres_part: Postgres) -> Iterator[Engine]:
    """A database in which something stands in the way of every statement."""
    url = postgres_part.create_database("in_the_way")
    made = connections.connect(url, name="test")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA)
    yield made
    made.dispose()
    with psycopg.connect(postgres_part.url, autocommit=True) as connection:
        connection.execute("DROP DATABASE in_the_way")
        connection.execute("DROP ROLE nobody_in_particular")


@pytest.mark.parametrize(
    ("statement", "kind", "words", "state"), STATEMENTS, ids=[f"{row[3]} {row[0][:12]}" for row in STATEMENTS]
)
def test_a_statement_that_postgresql_refuses(
    engine: Engine, statement: str, kind: type[LetheError], words: str, state: str
) -> None:
    """Its primary message and the names it gives, never a row's value; and what helps, where that is known."""
    with engine.connect() as other:
        if "lock_timeout" in statement:
            other.exec_driver_sql("SELECT 1 FROM kept FOR UPDATE")
        with pytest.raises(LetheError) as raised, translate_errors("it"), engine.connect() as connection:
            connection.exec_driver_sql(statement)

    said = raised.value.title
    assert type(raised.value) is kind
    assert words in said
    assert said.endswith(f"(SQLSTATE {state})")
    assert "secret" not in said
    assert "5511" not in said
    if kind is not TransientError:
        assert advice_for(said) is not None


def test_a_server_without_free_connections_is_waited_for(postgres_part: Postgres) -> None:
    """In its words, which have no SQLSTATE before a connection is made; the address is left out."""
    with psycopg.connect(postgres_part.url, autocommit=True) as server:
        server.execute("CREATE ROLE crowd LOGIN CONNECTION LIMIT 0")
    engine = connections.connect(postgres_part.url.replace("postgres@", "crowd@"), name="test")

    with pytest.raises(Unreachable) as raised, translate_errors("it"), engine.connect():
        pass

    with psycopg.connect(postgres_part.url, autocommit=True) as server:
        server.execute("DROP ROLE crowd")
    assert raised.value.title == 'it cannot be reached: too many connections for role "crowd"'


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_role_with_another_client_encoding_reads_and_finds_text(postgres_part: Postgres, encoding: str) -> None:
    """The connection asks for its own; ids and names stay text."""
    url = postgres_part.create_database("encoded")
    with psycopg.connect(url, autocommit=True) as server:
        server.execute('CREATE TABLE "Instance" (id text, name text, token text)')
        server.execute("""INSERT INTO "Instance" VALUES ('1', '🦊', NULL)""")
        server.execute(f"ALTER DATABASE encoded SET client_encoding = '{encoding}'")
    engine = connections.connect(url, name="test")

    found = Tenant(engine, "public").find(name="🦊")

    engine.dispose()
    with psycopg.connect(postgres_part.url, autocommit=True) as server:
        server.execute("DROP DATABASE encoded")
    assert found is not None
    assert (found.id, found.name) == ("1", "🦊")


def test_a_name_that_the_databases_encoding_cannot_hold_does_not_exist(postgres_part: Postgres) -> None:
    """One that it can hold does."""
    with psycopg.connect(postgres_part.url, autocommit=True) as server:
        server.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    url = f"{postgres_part.url.rsplit('/', 1)[0]}/latin"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute('CREATE TABLE "Instance" (id text, name text, token text)')
        server.execute("""INSERT INTO "Instance" VALUES ('1', 'José', 'ñ')""")
    engine = connections.connect(url, name="test")
    tenant = Tenant(engine, "public")

    found, strange = tenant.find(name="José"), tenant.find(name="🦊")
    tokens = tenant.knows_token("ñ"), tenant.knows_token("🦊")
    living = tenant.had_by_others("name", ["José", "🦊"], besides="2")

    engine.dispose()
    with psycopg.connect(postgres_part.url, autocommit=True) as server:
        server.execute("DROP DATABASE latin")
    assert found is not None
    assert (found.name, strange, tokens, living) == ("José", None, (True, False), {"José"})


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_an_own_database_that_cannot_hold_every_name_is_refused_before_its_first_table(
    postgres_part: Postgres, encoding: str
) -> None:
    """By one sentence with the remedy; doctor says the same of one that was made before."""
    with psycopg.connect(postgres_part.url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE narrow ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")  # type: ignore[arg-type]
    engine = connections.connect(f"{postgres_part.url.rsplit('/', 1)[0]}/narrow", name="test")

    with pytest.raises(RequirementNotMet, match=rf"has the encoding {encoding}.*ENCODING 'UTF8'.*#own-database"):
        migrate.upgrade(engine)

    assert migrate.wrong_encoding(engine) == encoding
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1 FROM pg_tables WHERE schemaname = 'public'").fetchall() == []
    engine.dispose()
    with psycopg.connect(postgres_part.url, autocommit=True) as server:
        server.execute("DROP DATABASE narrow")


def test_what_a_redis_user_may_not_do_is_said(tmp_path: Path) -> None:
    """By its own line, without a key; a wrong password as well: neither will work by itself."""
    redis = Redis.start(tmp_path)
    with Client.from_url(redis.url) as client:
        client.execute_command("ACL", "SETUSER", "limited", "on", ">secret", "~evolution:*", "+ping", "+unlink")
    wrong, limited = (
        Cache(Client(port=redis.port, username="limited", password=word), "evolution") for word in ("x", "secret")
    )
    said = []
    for act in (wrong.probe, limited.is_large, lambda: list(limited.unlink(["another:5511987650001"]))):
        with pytest.raises(RefusedByServer) as raised:
            act()
        said.append(raised.value.title)
    redis.stop()

    assert said == [
        "the cache refused: invalid username-password pair or user is disabled. (Redis WRONGPASS)",
        "the cache refused: User limited has no permissions to run the 'dbsize' command (Redis NOPERM)",
        "the cache refused: No permissions to access a key (Redis NOPERM)",
    ]
