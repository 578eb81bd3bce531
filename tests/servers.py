"""What the systems of the tests stand on: real servers, and what each system has on them for itself."""

import itertools
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from redis import Redis as Client

from demo.evolution.database import create_schema
from demo.evolution.deployment import Deployment, S3Place
from demo.evolution.gateway import Gateway
from demo.evolution.receiver import Receiver
from demo.parts import DATABASES, Postgres, Redis
from demo.s3 import S3
from shared.database import connections, migrate
from tests.system import GATEWAY_KEY, System, new_settings

_numbers = itertools.count(1)


class HasUrl(Protocol):
    """A PostgreSQL server, or several that stand behind one URL."""

    url: str


class RedisDatabases:
    """The databases of one Redis: no two systems that live at the same time have the same."""

    def __init__(self, part: Redis) -> None:
        self._base = part.url.rsplit("/", 1)[0]
        self._free = deque(range(1, DATABASES - 1))  # the last one stays empty

    def take(self, closing: ExitStack) -> str:
        """The URL of an empty database, emptied and free again at the end."""
        number = self._free.popleft()
        closing.callback(self._give_back, number)
        return self._url(number)

    def _give_back(self, number: int) -> None:
        with Client.from_url(self._url(number)) as client:
            client.flushdb()
        self._free.append(number)

    def _url(self, number: int) -> str:
        return f"{self._base}/{number}"


class Systems(AbstractContextManager["Systems"]):
    """Makes systems on these servers, and takes them down in the end with all that they have there."""

    def __init__(
        self,
        redis: RedisDatabases,
        postgres: HasUrl,
        s3: S3,
        make_folder: Callable[[str], Path],
        *,
        new_broker: Callable[[], str] | None = None,
    ) -> None:
        self._redis = redis
        self._postgres = postgres
        self._s3 = s3
        self._make_folder = make_folder
        self._new_broker = new_broker
        self._made: list[System] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as stack:
            for system in self._made:
                stack.callback(system.close)

    def make(
        self,
        *,
        gateways: int = 1,
        redis_url: str | None = None,
        own_postgres: HasUrl | None = None,
        any_key_s3: str | None = None,
        **changes: Any,
    ) -> System:
        """A system, not started; Lethe's own database lies beside the tenant database, or on a server of its own."""
        number, closing = next(_numbers), ExitStack()
        folder = self._make_folder(f"system{number}")
        (folder / "evolution" / "instances").mkdir(parents=True)
        deployment = Deployment(
            database_url=copy_database(self._postgres, "tenant_template", closing),
            cache_url=self._redis.take(closing),
            files_root=folder / "evolution",
            s3=make_bucket(
                S3Place(
                    any_key_s3 or self._s3.url,
                    f"evolution-{number}",
                    self._s3.access_key,
                    self._s3.secret_key,
                    any_key=any_key_s3 is not None,
                ),
                closing,
            ),
        )
        servers = [Gateway(deployment.database_url, GATEWAY_KEY) for _ in range(gateways)]
        receiver = Receiver()
        for server in (*servers, receiver):
            server.start()
            closing.callback(server.stop)
        if self._new_broker:
            changes = {"broker_url": self._new_broker(), **changes}
        settings = new_settings(
            deployment,
            servers,
            copy_database(own_postgres or self._postgres, "own_template", closing),
            redis_url or self._redis.take(closing),
            **changes,
        )
        system = System(deployment, servers, receiver, settings, folder, closing=closing)
        self._made.append(system)
        return system


def make_templates(part: Postgres) -> None:
    """What copy_database copies: an empty tenant database and a migrated own database."""
    create_schema(part.create_database("tenant_template"))
    own = connections.connect(part.create_database("own_template"), name="migrate")
    migrate.upgrade(own)
    own.dispose()


def copy_database(part: HasUrl, template: str, closing: ExitStack | None = None) -> str:
    """A new database like the template, dropped when that closes; its URL."""
    name = f"{template.split('_')[0]}_{next(_numbers)}"
    _execute(part, sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
    if closing:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        closing.callback(_execute, part, drop)
    return urlsplit(part.url)._replace(path=f"/{name}").geturl()


def make_bucket(place: S3Place, closing: ExitStack) -> S3Place:
    """An empty bucket, removed with all that is in it when that closes."""
    client = place.connect()
    client.create_bucket(Bucket=place.bucket)
    closing.callback(empty_bucket, place)
    return place


def empty_bucket(place: S3Place) -> None:
    """Remove every version of every object, and the bucket."""
    client = place.connect()
    for page in client.get_paginator("list_object_versions").paginate(Bucket=place.bucket):
        found = (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        if listed := [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]:
            client.delete_objects(Bucket=place.bucket, Delete={"Objects": listed})  # type: ignore[typeddict-item]
    client.delete_bucket(Bucket=place.bucket)


def _execute(part: HasUrl, statement: sql.Composed) -> None:
    with psycopg.connect(part.url, autocommit=True) as connection:
        connection.execute(statement)
