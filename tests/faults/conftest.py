"""Systems that are there to be hurt, rounds, and the figures at the end."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from demo.parts import Postgres, Redis
from tests.conftest import build_system, make_templates, tear_down
from tests.faults.figures import Figures
from tests.faults.scene import Scene
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
        for problem in (*figures.double_runs, *figures.left_overs):
            terminalreporter.write_line(problem)
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
        scene.system.stop()
        scene.close()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Redis, Postgres, Postgres]]:
    """A Redis and two PostgreSQL servers that may be killed: they keep what they have acknowledged."""
    folder = tmp_path_factory.mktemp("servers")
    redis, tenant, own = Redis.start(folder), Postgres.start(folder / "tenant"), Postgres.start(folder / "own")
    make_templates(tenant)
    make_templates(own)
    yield redis, tenant, own
    for part in (own, tenant, redis):
        part.stop()


@pytest.fixture
def fragile(
    servers: tuple[Redis, Postgres, Postgres],
    moto_part: str,
    tmp_path_factory: pytest.TempPathFactory,
    figures: Figures,
) -> Iterator[Callable[..., Scene]]:
    """Make scenes on servers that may be killed; one_server keeps both databases on the same one."""
    made: list[Scene] = []

    def make(*, one_server: bool = False, **options: Any) -> Scene:
        redis, tenant, own = servers
        system = build_system(
            tmp_path_factory, redis, tenant, moto_part, own_postgres=tenant if one_server else own, **options
        )
        made.append(Scene(system, figures))
        return made[-1]

    yield make
    for scene in made:
        tear_down(scene.system)
        scene.close()
