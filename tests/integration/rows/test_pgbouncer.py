"""PgBouncer as docs/operations has it, before both databases: deletions pass, and leave no setting behind."""

import os
import pwd
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy import text

from demo.evolution.census import fingerprint, fingerprint_of
from demo.evolution.seed import seed_instance
from demo.ports import server_port
from demo.processes import Process, wait_until
from shared.database import migrate
from shared.evolution.rows import missing_indexes
from tests.integration.shell import lethe
from tests.system import System, running

pytestmark = pytest.mark.slow
PAGE = (Path(__file__).parents[3] / "docs/operations/pgbouncer.md").read_text()
CONNECTIONS = 6
SETTINGS = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "synchronous_commit",
    "session_replication_role",
    "wal_compression",
    "enable_seqscan",
    "jit",
)


@pytest.fixture
def system(make_system: Callable[..., System], tmp_path: Path) -> Iterator[System]:
    """A system whose settings lead through the pooler; the deployment's own URL does not."""
    made = make_system()
    process, port = start_pooler(tmp_path, made.deployment.database_url)

    def through(url: SecretStr) -> SecretStr:
        return SecretStr(re.sub(r":\d+/", f":{port}/", url.get_secret_value()))

    own, tenant = through(made.settings.database_url), through(made.settings.tenant_database_url)
    made.settings = made.settings.model_copy(update={"database_url": own, "tenant_database_url": tenant})
    wait_until(lambda: answers(tenant.get_secret_value()), 10, "pgbouncer", process=process)
    yield made
    made.close()
    process.stop()


def start_pooler(folder: Path, url: str) -> tuple[Process, int]:
    """The real PgBouncer with the settings of the page, as nobody when we are root, which it refuses."""
    binary = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if binary is None:
        missing = "no PgBouncer here: apt-get install pgbouncer"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    where, port = urlsplit(url), server_port()
    documented = re.search(r"```ini\n(.*?)```", PAGE, re.DOTALL)
    assert documented
    (folder / "users").write_text(f'"{where.username}" ""\n')
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n* = host={where.hostname} port={where.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {folder}/users\n"
        f"pool_mode = transaction\ndefault_pool_size = {CONNECTIONS}\n"
        # So that no transaction has the connection of the one before it.
        f"server_round_robin = 1\n{documented[1]}"
    )
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    ids = {"user": user.pw_uid, "group": user.pw_gid} if user else {}
    for path in (folder, *folder.parents):
        if path.stat().st_uid == os.geteuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    return Process.start("pgbouncer", [binary, configuration], log=folder / "pgbouncer.log", **ids), port


def answers(url: str) -> bool:
    """Whether one can work through the pooler."""
    try:
        with psycopg.connect(url, connect_timeout=1) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def settings_of_all(url: SecretStr) -> set[tuple[str, ...]]:
    """The settings of every server connection of a pool: as many transactions at once as it has connections."""
    ask = f"SELECT {', '.join(f'current_setting({name!r})' for name in SETTINGS)}, pg_backend_pid()"
    with ExitStack() as stack:
        clients = [stack.enter_context(psycopg.connect(url.get_secret_value())) for _ in range(CONNECTIONS)]
        rows = [client.execute(ask).fetchone() for client in clients]  # type: ignore[arg-type]
    assert len({row[-1] for row in rows if row}) == CONNECTIONS
    return {row[:-1] for row in rows if row}


def test_many_at_once_end_and_leave_no_setting_behind(system: System) -> None:
    """Each ends with SUCCESS, the other instance is as it was, and connections go back to the pool as they came."""
    messages = [600, 600, *[20] * 6]  # more than 500 go in batches, without triggers
    patients = [
        seed_instance(system.deployment, f"patient {number}", messages=many) for number, many in enumerate(messages)
    ]
    neighbour = seed_instance(system.deployment, "patient")
    before = fingerprint_of(system.deployment, neighbour.id, neighbour.name)
    system.gateways[0].load()
    as_made = settings_of_all(system.settings.tenant_database_url)

    with running(system, "web", "worker"), ThreadPoolExecutor(len(patients)) as pool:
        statuses = list(pool.map(lambda patient: system.delete(patient.name).status, patients))

    left = " ".join(fingerprint(system.deployment))
    assert statuses == [200] * len(patients)
    assert not [patient.name for patient in patients if patient.id in left]
    assert fingerprint_of(system.deployment, neighbour.id, neighbour.name) == before
    assert settings_of_all(system.settings.tenant_database_url) == as_made
    assert settings_of_all(system.settings.database_url) == as_made


def test_creating_an_index_leaves_no_setting_behind(system: System) -> None:
    """Its patience is its own: Evolution may share the pool."""
    as_made = settings_of_all(system.settings.tenant_database_url)
    services = system.make_services()
    missing = missing_indexes.find(services.tenant)
    for each in missing:
        missing_indexes.create(services.tenant, each)

    services.close()
    assert missing
    assert settings_of_all(system.settings.tenant_database_url) == as_made


def test_migrations_hold_nothing_beyond_their_transaction(system: System) -> None:
    """A lock of the session would stay with a connection that by then serves another client."""
    settings_of_all(system.settings.database_url)  # opens all connections
    services = system.make_services()
    migrate.upgrade(services.own)

    with services.own.connect() as connection:
        query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        locks = connection.execute(query).scalar_one()
    services.close()
    assert locks == 0


def test_text_is_utf8_whatever_the_server_says(system: System) -> None:
    """PgBouncer keeps what each client has asked for in its start-up packet, on every connection of the pool."""
    instances = [seed_instance(system.deployment, f"fox 🦊 {number}") for number in range(2 * CONNECTIONS)]
    with system.deployment.connect() as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET client_encoding = 'LATIN1'").format(name))
    services = system.make_services()

    found = [services.tenant.find(name=each.name) for each in instances]

    services.close()
    assert [each and each.name for each in found] == [each.name for each in instances]


def test_doctor_says_that_time_limits_were_dropped(system: System) -> None:
    """And how they are set instead; for this database alone, for the role may be the tenant database's as well."""
    database = system.settings.database_url.get_secret_value().rpartition("/")[2]

    told = lethe(system, "doctor").stdout

    assert "statements have no time limit" in told
    assert f"ALTER ROLE postgres IN DATABASE {database} SET statement_timeout = '10s';" in told
    assert "ALTER ROLE lethe IN DATABASE lethe SET statement_timeout = '10s';" in PAGE
