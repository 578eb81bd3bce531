"""URLs of PostgreSQL with several hosts, as libpq and as SQLAlchemy write them."""

import pytest
from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from shared.servers import postgresql

PRIMARY = "target_session_attrs=read-write"


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        (f"postgresql://lethe:p%40s@one:5433,two/db?{PRIMARY}", "one,two", "5433,"),
        (f"postgresql://lethe:p%40s@one,[::1]:5433,%2Frun%2FPG/db?{PRIMARY}", "one,::1,/run/PG", ",5433,"),
        (f"postgresql://lethe:p%40s@/db?host=one:5433&host=two:5434&{PRIMARY}", "one,two", "5433,5434"),
        (f"postgresql://lethe:p%40s@/db?host=one,two&port=5433,5434&{PRIMARY}", "one,two", "5433,5434"),
        ("postgresql://lethe:p%40s@one:5433/db?sslcert=/c&sslkey=/k&sslrootcert=/ca&sslmode=verify-full", "one", 5433),
    ],
)
def test_all_forms_reach_the_driver(url: str, host: str, port: str | int) -> None:
    """libpq's with commas, and both of SQLAlchemy's; parameters of libpq come along."""
    postgresql.check(url)
    as_read = make_url(postgresql.for_sqlalchemy(url))
    _, given = PGDialect_psycopg().create_connect_args(as_read)  # type: ignore[no-untyped-call]

    assert (given["host"], given["port"]) == (host, port)
    assert (given["user"], given["password"], given["dbname"]) == ("lethe", "p@s", "db")
    assert given.keys() >= ({"sslcert", "sslkey", "sslrootcert"} if "sslcert" in url else {"target_session_attrs"})


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://one,two/db", PRIMARY),
        ("postgresql://one,two/db?target_session_attrs=any", PRIMARY),
        ("postgresql:///db?host=one&host=two&target_session_attrs=prefer-standby", PRIMARY),
        ("postgresql:///db?host=one,two", PRIMARY),
        ("postgresql://lethe:hunter2,x@y@one,two/db", "target"),
        (f"postgresql://one:5432,two:hunter2/db?{PRIMARY}", "percent-encoded"),
    ],
)
def test_several_hosts_must_lead_to_the_primary(url: str, says: str) -> None:
    """Else Lethe could look at a standby, and take for gone what the primary has; no error repeats a password."""
    with pytest.raises(ValueError, match=says) as raised:
        postgresql.check(url)

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("url", ["postgresql:///db", "postgresql://one/db", "postgresql://one:5432/db?sslmode=require"])
def test_one_host_needs_nothing(url: str) -> None:
    """Its URL stays as it is."""
    postgresql.check(url)

    assert postgresql.for_sqlalchemy(url) == url
