"""Real servers for the tests, each started once and only when a test needs it; with xdist, once in each process."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from moto.server import ThreadedMotoServer

from demo.parts import Postgres, Redis
from demo.s3 import S3
from shared.services import Services
from tests import leftovers, repeats
from tests.rabbitmq import RabbitMQPart
from tests.servers import RedisDatabases, Systems, make_templates
from tests.system import System

HERE = Path(__file__).parent
# `make test` leaves these out, `make test-all` has them: they take minutes, or programs that no wheel brings.
SLOW_FOLDERS = (HERE / "browser", HERE / "faults", HERE / "fuzz")
SLOW_FIXTURES = {"proxy", "rabbitmq_part"}
# The first to be handed out: what is quick fills the gaps at the end.
ORDER = (HERE / "faults", HERE / "fuzz", HERE / "browser", HERE / "integration", HERE / "unit")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much of tests/faults and tests/fuzz is run, and on which broker all tests: `pytest --broker rabbitmq`."""
    parser.addoption("--rounds", type=int, default=1, help="how often each fault is tried")
    parser.addoption("--requests", type=int, default=400, help="how many requests tests/fuzz makes up")
    parser.addoption("--seed", default="1", help="what tests/fuzz makes them up from")
    parser.addoption("--broker", choices=("redis", "rabbitmq"), default="redis", help="what carries the messages")


def pytest_configure() -> None:
    """No setting of the shell that runs the tests reaches them, nor the processes that they start."""
    for name in [name for name in os.environ if name.startswith("LETHE_")]:
        del os.environ[name]
    os.environ["LC_ALL"] = "C.UTF-8"  # texts are in English, whatever the developer speaks


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """An error is one line: structlog's default draws each frame of it, which takes seconds."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


def pytest_sessionstart() -> None:
    """No server outlives an interrupted run."""
    leftovers.watch()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What `make test` leaves out as a whole is not even imported there."""
    is_slow = collection_path in SLOW_FOLDERS or repeats.name_of(collection_path) in repeats.SLOW_MODULES
    return True if config.option.markexpr == "not slow" and is_slow else None


@pytest.hookimpl(tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if SLOW_FIXTURES.intersection(fixtures) or any(item.path.is_relative_to(folder) for folder in SLOW_FOLDERS):
            item.add_marker(pytest.mark.slow)
    repeats.mark(items)
    items.sort(key=lambda item: next(place for place, folder in enumerate(ORDER) if item.path.is_relative_to(folder)))


@pytest.fixture(scope="session")
def parts_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the servers keep their data and logs."""
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="session")
def redis_part(parts_folder: Path) -> Iterator[Redis]:
    """A real Redis."""
    part = Redis.start(parts_folder)
    yield part
    part.stop()


@pytest.fixture(scope="session")
def redis_databases(redis_part: Redis) -> RedisDatabases:
    """The databases of it: a system has two for itself."""
    return RedisDatabases(redis_part)


@pytest.fixture(scope="session")
def rabbitmq_part(parts_folder: Path) -> Iterator[RabbitMQPart]:
    """A real RabbitMQ; tests take a virtual host each."""
    part = RabbitMQPart.start(parts_folder / "rabbitmq")
    yield part
    part.stop()


@pytest.fixture(scope="session")
def postgres_part(parts_folder: Path) -> Iterator[Postgres]:
    """A real PostgreSQL with two templates: an empty tenant database and a migrated own database."""
    part = Postgres.start(parts_folder, fast=True)
    make_templates(part)
    yield part
    part.stop()


@pytest.fixture(scope="session")
def s3_part(parts_folder: Path, request: pytest.FixtureRequest) -> Iterator[S3]:
    """A real S3."""
    part = S3.launch(parts_folder)
    request.getfixturevalue("postgres_part")  # which starts in the seconds that S3 takes
    part.wait_until_ready()
    yield part
    part.stop()


@pytest.fixture(scope="session")
def moto_part() -> Iterator[str]:
    """A stand-in for SQS, and for an S3 that takes any text as a key; its URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def new_systems(
    redis_databases: RedisDatabases,
    postgres_part: Postgres,
    s3_part: S3,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Callable[[], Systems]:
    """Systems on the servers that all tests share, to be taken down together."""
    on_rabbitmq = request.config.getoption("--broker") == "rabbitmq"
    new_broker = request.getfixturevalue("rabbitmq_part").new_virtual_host if on_rabbitmq else None
    return lambda: Systems(redis_databases, postgres_part, s3_part, tmp_path_factory.mktemp, new_broker=new_broker)


@pytest.fixture(scope="module")
def make_system(new_systems: Callable[[], Systems]) -> Iterator[Callable[..., System]]:
    """Make systems, which end with the module: make_system(gateways=1, **settings)."""
    with new_systems() as systems:
        yield systems.make


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System], request: pytest.FixtureRequest) -> Iterator[System]:
    """The module's system, as its mark says: pytestmark = pytest.mark.system("web", "worker", wait_seconds=2).

    The words are the processes to start, the API alone without a mark; the others are settings. Without a worker the
    tests run the steps.
    """
    yield from _as_marked(make_system, request, pytest.mark.system("web").mark)


@pytest.fixture(scope="module")
def services(system: System) -> Iterator[Services]:
    """Services on the module's system, for what runs in the test."""
    made = system.make_services()
    yield made
    made.close()


@pytest.fixture
def fresh_system(make_system: Callable[..., System], request: pytest.FixtureRequest) -> Iterator[System]:
    """A system for one test, as the module's mark says; without processes when it has none."""
    yield from _as_marked(make_system, request, pytest.mark.system().mark)


@pytest.fixture
def fresh_services(system: System) -> Iterator[Services]:
    """Services for one test, on the system that the module calls `system`."""
    made = system.make_services()
    yield made
    made.close()


def _as_marked(
    make_system: Callable[..., System], request: pytest.FixtureRequest, usual: pytest.Mark
) -> Iterator[System]:
    mark = request.node.get_closest_marker("system") or usual
    made = make_system(**mark.kwargs)
    made.start(*mark.args)
    yield made
    made.close()


@pytest.fixture(scope="session")
def shared_system(new_systems: Callable[[], Systems]) -> Iterator[System]:
    """One running system for tests that only add instances of their own."""
    with new_systems() as systems:
        system = systems.make()
        system.start("web", "worker", "beat")
        yield system
