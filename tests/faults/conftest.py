"""Systems that are there to be hurt, rounds, and the figures at the end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from demo.parts import Postgres, Redis
from demo.s3 import S3
from tests.faults.figures import Figures
from tests.faults.scene import Scene
from tests.servers import RedisDatabases, Systems, make_templates
from tests.system import System

_FIGURES = pytest.StashKey[Figures]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every fault as often as --rounds says."""
    rounds = metafunc.config.getoption("rounds")
    if rounds > 1:
        metafunc.fixturenames.append("round_number")
        metafunc.parametrize("round_number", range(rounds))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line of figures."""
    figures = config.stash.get(_FIGURES, None)
    if figures:
        for line in (*figures.double_runs, *figures.left_overs, *figures.notes):
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"faults: {figures}")


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """Counted over all tests."""
    return pytestconfig.stash.setdefault(_FIGURES, Figures())


@pytest.fixture
def make_scene(make_system: Callable[..., System], figures: Figures) -> Iterator[Callable[..., Scene]]:
    """Make scenes on the servers that all tests share: make_scene(gateways=1, **settings)."""
    made: list[Scene] = []

    def make(**options: Any) -> Scene:
        made.append(Scene(make_system(**options), figures))
        return made[-1]

    yield make
    for scene in made:
        scene.close()


@pytest.fixture(scope="module")
def shared_system(make_system: Callable[..., System]) -> Iterator[System]:
    """One system for all tests of a module."""
    system = make_system(worker_concurrency=9)
    yield system
    system.stop()


@pytest.fixture
def scene(shared_system: System, figures: Figures) -> Iterator[Scene]:
    """A scene on that system, with API and beat; its workers die with it, and take none of the next one's messages."""
    scene = Scene(shared_system, figures)
    shared_system.start(*({"web", "beat"} - shared_system.processes.keys()))
    yield scene
    scene.close("worker", "ambushed")


@dataclass(frozen=True)
class Servers:
    """Servers that may be killed: they keep what they have acknowledged."""

    redis: Redis
    databases: RedisDatabases
    tenant: Postgres
    own: Postgres


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Started once for all tests that kill them; each test leaves them running."""
    folder = tmp_path_factory.mktemp("servers")
    redis = Redis.start(folder)
    started = Servers(redis, RedisDatabases(redis), Postgres.start(folder / "tenant"), Postgres.start(folder / "own"))
    make_templates(started.tenant)
    make_templates(started.own)
    yield started
    for part in (started.own, started.tenant, started.redis):
        part.stop()


@pytest.fixture
def fragile(
    servers: Servers,
    redis_databases: RedisDatabases,
    s3_part: S3,
    tmp_path_factory: pytest.TempPathFactory,
    figures: Figures,
) -> Iterator[Callable[..., Scene]]:
    """Make scenes on the servers that may be killed; Evolution's cache and the broker lie apart."""
    made: list[Scene] = []
    with (
        ExitStack() as closing,
        Systems(redis_databases, servers.tenant, s3_part, tmp_path_factory.mktemp) as systems,
    ):

        def make(own: Postgres | None = None, **options: Any) -> Scene:
            system = systems.make(redis_url=servers.databases.take(closing), own_postgres=own, **options)
            made.append(Scene(system, figures))
            return made[-1]

        yield make
        for scene in made:
            scene.close()
