"""Redis and PostgreSQL ask for a client's certificate: the URL names it, for everything that connects there."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from demo.evolution.seed import seed_instance
from demo.parts import Postgres
from shared.database import connections
from shared.errors import Unreachable
from shared.faults.postgresql import translate_errors
from tests.integration.shell import lethe
from tests.integration.tls import Authority
from tests.servers import RedisDatabases
from tests.system import System


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """It has signed one certificate, which serves as the client's as well."""
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.key.chmod(0o600)  # libpq reads no key that others can read
    return made


@pytest.fixture(scope="module")
def system(
    make_system: Callable[..., System], authority: Authority, redis_databases: RedisDatabases
) -> Iterator[System]:
    """Locks, limits, wake-ups and messages go through TLS."""
    with ExitStack() as closing:
        rest = closing.enter_context(authority.before(redis_databases.take(closing), asks_clients=True))
        query = f"ssl_ca_certs={authority.file}&ssl_certfile={authority.certificate}&ssl_keyfile={authority.key}"
        made = make_system(redis_url=f"rediss://{rest}?{query}", limit_per_minute=1, wait_seconds=40)
        made.start("web", "worker")
        yield made
        made.stop()


def test_a_deletion_runs(system: System) -> None:
    """By a message through the broker; the second call in a minute is one too many."""
    for name in ("first", "second"):
        seed_instance(system.deployment, name)

    assert [system.delete(name).status for name in ("first", "second")] == [200, 429]


def test_doctor_uses_the_certificate(system: System) -> None:
    """And says that there is none when the URL names none."""
    without = system.settings.redis_url.get_secret_value().partition("&")[0]

    found, lacking = (
        {row["part"]: row["verdict"] for row in json.loads(lethe(system, "doctor", "--json", **changes).stdout)}
        for changes in ({}, {"LETHE_REDIS_URL": without})
    )

    assert {found[part] for part in ("redis", "broker", "workers")} == {"ok"}
    assert lacking["redis"] == "broken"


def test_postgresql_gets_the_certificate(authority: Authority, tmp_path: Path) -> None:
    """By libpq's own parameters; without them it refuses, in one sentence."""
    part = Postgres.start(tmp_path, fast=True)
    try:
        ask_clients(part, authority)
        roots = f"sslmode=verify-full&sslrootcert={authority.file}"
        mine = f"sslcert={authority.certificate}&sslkey={authority.key}"
        engine = connections.connect(f"{part.url}?{roots}&{mine}", name="own")
        with engine.connect() as connection:
            query = "SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            seen = connection.exec_driver_sql(query).one()
        engine.dispose()
        with pytest.raises(Unreachable) as raised, translate_errors("it"):
            connections.connect(f"{part.url}?{roots}", name="own").connect()
    finally:
        part.stop()

    assert seen == (True, "/CN=a server")
    assert "client certificate" in raised.value.title


def ask_clients(part: Postgres, authority: Authority) -> None:
    """Let the server take nothing but TLS, from clients of this authority."""
    with psycopg.connect(part.url, autocommit=True) as connection:
        (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        owner = Path(folder).stat()
        for name, path in {"cert": authority.certificate, "key": authority.key, "ca": authority.file}.items():
            copied = shutil.copy(path, Path(folder) / f"{name}.pem")
            os.chown(copied, owner.st_uid, owner.st_gid)
            Path(copied).chmod(0o600)
            connection.execute(f"ALTER SYSTEM SET ssl_{name}_file = '{name}.pem'")  # type: ignore[arg-type]
        try:
            connection.execute("ALTER SYSTEM SET ssl = on")
        except psycopg.Error:
            pytest.skip("this PostgreSQL was built without TLS")
        (Path(folder) / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n")
        connection.execute("SELECT pg_reload_conf()")
