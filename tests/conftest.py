"""Real servers for the tests, started once; each system on them has databases, a bucket and a folder of its own."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from moto.server import ThreadedMotoServer
from psycopg import sql

from demo.evolution.database import create_schema
from demo.evolution.deployment import Deployment, S3Place
from demo.evolution.gateway import Gateway
from demo.evolution.receiver import Receiver
from demo.parts import DATABASES, Postgres, Redis
from shared.database import connections, migrate
from tests.rabbitmq import RabbitMQPart
from tests.system import GATEWAY_KEY, System, new_settings

_numbers = itertools.count(1)
_redis_databases = iter(range(1, DATABASES - 1))  # the last one stays empty; a system that finds none left fails


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much of tests/faults and tests/fuzz is run, and on which broker all tests: `pytest --broker rabbitmq`."""
    parser.addoption("--rounds", type=int, default=1, help="how often each fault is tried")
    parser.addoption("--requests", type=int, default=400, help="how many requests tests/fuzz makes up")
    parser.addoption("--seed", default="1", help="what tests/fuzz makes them up from")
    parser.addoption("--broker", choices=("redis", "rabbitmq"), default="redis", help="what carries the messages")


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """An error is one line: structlog's default draws each frame of it, which takes seconds."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


@pytest.fixture(scope="session")
def parts_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the servers keep their data and logs."""
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="session")
def redis_part(parts_folder: Path) -> Iterator[Redis]:
    """A real Redis; tests take a database number each."""
    part = Redis.start(parts_folder)
    yield part
    part.stop()


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
def moto_part() -> Iterator[str]:
    """A real HTTP S3 endpoint; its URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def make_templates(part: Postgres) -> None:
    """What copy_database copies: an empty tenant database and a migrated own database."""
    create_schema(part.create_database("tenant_template"))
    own = connections.connect(part.create_database("own_template"), name="migrate")
    migrate.upgrade(own)
    own.dispose()


def copy_database(part: Postgres, template: str) -> str:
    """A new database like the template; its URL."""
    name = f"{template.split('_')[0]}_{next(_numbers)}"
    with psycopg.connect(part.url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    return f"{part.url.rsplit('/', 1)[0]}/{name}"


def build_system(
    folders: pytest.TempPathFactory,
    redis: Redis,
    postgres: Postgres,
    moto: str,
    *,
    gateways: int = 1,
    redis_url: str | None = None,
    own_postgres: Postgres | None = None,
    **changes: Any,
) -> System:
    """A system on these servers; Lethe's own database lies beside the tenant database, or on a server of its own."""
    number = next(_numbers)
    folder = folders.mktemp(f"system{number}")
    (folder / "evolution" / "instances").mkdir(parents=True)
    place = S3Place(moto, f"evolution-{number}", "key", "secret")
    place.connect().create_bucket(Bucket=place.bucket)
    base = redis.url.rsplit("/", 1)[0]
    deployment = Deployment(
        database_url=copy_database(postgres, "tenant_template"),
        cache_url=f"{base}/{next(_redis_databases)}",
        files_root=folder / "evolution",
        s3=place,
    )
    servers = [Gateway(deployment.database_url, GATEWAY_KEY) for _ in range(gateways)]
    receiver = Receiver()
    for server in (*servers, receiver):
        server.start()
    settings = new_settings(
        deployment,
        servers,
        copy_database(own_postgres or postgres, "own_template"),
        redis_url or f"{base}/{next(_redis_databases)}",
        **changes,
    )
    return System(deployment, servers, receiver, settings, folder)


def tear_down(system: System) -> None:
    """Stop a system's processes and its stand-ins; the servers stay."""
    system.stop()
    for server in (*system.gateways, system.receiver):
        server.stop()


@pytest.fixture(scope="session")
def make_system(
    redis_part: Redis,
    postgres_part: Postgres,
    moto_part: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., System]]:
    """Make systems: make_system(gateways=1, **settings)."""
    made: list[System] = []
    on_rabbitmq = request.config.getoption("--broker") == "rabbitmq"

    def make(**changes: Any) -> System:
        if on_rabbitmq:
            changes = {"broker_url": request.getfixturevalue("rabbitmq_part").new_virtual_host(), **changes}
        system = build_system(tmp_path_factory, redis_part, postgres_part, moto_part, **changes)
        made.append(system)
        return system

    yield make
    for system in made:
        tear_down(system)


@pytest.fixture(scope="session")
def shared_system(make_system: Callable[..., System]) -> Iterator[System]:
    """One running system for tests that only add instances of their own."""
    system = make_system()
    system.start("web", "worker", "beat")
    yield system
    system.stop()
