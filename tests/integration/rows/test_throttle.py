"""How hard a deletion presses on the tenant database: set on the server, followed while it runs."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from demo.evolution.seed import seed_instance
from demo.parts import Postgres
from demo.processes import wait_until
from shared.database import connections
from shared.errors import RefusedByServer
from shared.evolution.rows import replicas, throttle
from shared.services import Services
from tests.integration.inline import accept, run_steps
from tests.integration.shell import lethe
from tests.system import System

pytestmark = pytest.mark.system(slice_seconds=0.3, batch_seconds=0.01)


@pytest.fixture
def services(system: System) -> Iterator[Services]:
    """This process's services; the throttle is what the settings say afterwards."""
    made = system.make_services()
    yield made
    throttle.reset(made.own)
    made.close()


def test_it_is_what_the_settings_say_until_it_is_changed(system: System, services: Services) -> None:
    """One value at a time, and back."""
    usual = throttle.read(services.own, services.settings)

    changed = lethe(system, "throttle", "--pause-seconds", "0.2")
    after = throttle.read(services.own, services.settings)
    lethe(system, "throttle", "--reset")

    assert changed.returncode == 0, changed.stderr
    assert "(settings: 0)" in changed.stdout
    assert (after.pause_seconds, after.batch_seconds) == (0.2, usual.batch_seconds)
    assert throttle.read(services.own, services.settings) == usual


@pytest.mark.parametrize(
    "words", [("--pause-seconds", "11"), ("--batch-seconds", "-1"), ("--reset", "--pause-seconds", "2")]
)
def test_nonsense_is_wrong_usage(system: System, words: tuple[str, ...]) -> None:
    """Exit code 2, and nothing is changed."""
    assert lethe(system, "throttle", *words).returncode == 2


def test_an_option_that_has_no_effect_any_more_is_accepted(system: System, services: Services) -> None:
    """A script of an earlier version still works, and is told."""
    usual = throttle.read(services.own, services.settings)

    changed = lethe(system, "throttle", "--connections", "2")

    assert (changed.returncode, throttle.read(services.own, services.settings)) == (0, usual)
    assert "no effect" in changed.stderr


def test_a_pause_makes_a_running_deletion_slower(system: System, services: Services) -> None:
    """It is read between batches: within one slice fewer rows go than without."""
    instance = seed_instance(system.deployment, "throttled", messages=4_000, updates_per_message=0)
    deletion_id = accept(services, instance.id, "throttled")
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook", "deregister")
    throttle.write(services.own, pause_seconds=0.2)

    run_steps(services, deletion_id, "delete_records")
    held_back = _messages(system, instance.id)
    throttle.reset(services.own)
    while _messages(system, instance.id):
        run_steps(services, deletion_id, "delete_records")

    assert 0 < held_back < 4_000


@pytest.fixture
def standby(system: System, postgres_part: Postgres) -> Iterator[str]:
    """A streaming replica of the tests' server; its URL."""
    copy = postgres_part.base_backup()
    if copy is None:
        pytest.skip("this PostgreSQL comes without pg_basebackup")
    yield copy.url
    copy.stop()


def test_batches_wait_while_a_replica_lags(system: System, services: Services, standby: str) -> None:
    """A real one, whose replay is stopped: nothing is erased; when it has caught up, all is."""
    name = system.deployment.database_url.rpartition("/")[2]
    replica = connections.connect(f"{standby.rpartition('/')[0]}/{name}", name="test")
    instance = seed_instance(system.deployment, "replicated", messages=2_000, updates_per_message=0)
    deletion_id = accept(services, instance.id, "replicated")
    run_steps(services, deletion_id, "logout", "purge_cache", "send_webhook", "deregister")
    slow = system.make_services(replica_lag_seconds=0.5)
    object.__setattr__(slow, "replicas", (replica,))
    with psycopg.connect(f"{standby.rpartition('/')[0]}/{name}", autocommit=True) as connection:
        connection.execute("SELECT pg_wal_replay_pause()")
        wait_until(lambda: _write(system) and replicas.lag_seconds(replica) > 0.5, 30, "the replica to lag")

        run_steps(slow, deletion_id, "delete_records")
        waited = _messages(system, instance.id)
        connection.execute("SELECT pg_wal_replay_resume()")

    while _messages(system, instance.id):
        run_steps(slow, deletion_id, "delete_records")
    replica.dispose()
    slow.close()
    assert waited == 2_000


def test_a_replica_that_is_away_delays_no_deletion() -> None:
    """Who waits for it would wait for ever."""
    away = connections.connect("postgresql://postgres@127.0.0.1:9/none", name="test")

    began = time.monotonic()
    replicas.Brake((away,), 1).wait(lambda: False)

    assert time.monotonic() - began < 10


def _write(system: System) -> bool:
    """Something for the replica to replay."""
    with system.deployment.connect() as connection:
        connection.execute("SELECT pg_logical_emit_message(true, 'test', 'replay this')")
    return True


def _messages(system: System, instance_id: str) -> int:
    with system.deployment.connect() as connection:
        found = connection.execute('SELECT count(*) FROM "Message" WHERE "instanceId" = %s', (instance_id,)).fetchone()
    assert found
    return int(found[0])


def test_a_replica_that_refuses_holds_nothing_up(postgres_part: Postgres) -> None:
    """Nor does it fail a deletion that is past its point of no return."""
    url = postgres_part.create_database("refusing")
    engine = connections.connect(url.replace("postgres@", "nobody_here@"), name="test")
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("CREATE ROLE nobody_here LOGIN")
        server.execute("REVOKE EXECUTE ON FUNCTION pg_is_in_recovery FROM PUBLIC")
    with pytest.raises(RefusedByServer):
        replicas.lag_seconds(engine)

    replicas.Brake((engine,), 1).wait(lambda: False)

    engine.dispose()
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("GRANT EXECUTE ON FUNCTION pg_is_in_recovery TO PUBLIC")
        server.execute("DROP ROLE nobody_here")
