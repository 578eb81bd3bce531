"""What the measurements run on: durable servers on loopback, an Evolution deployment, and Lethe's processes."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import requests

from demo import stage
from demo.evolution.database import create_schema
from demo.evolution.deployment import Deployment, S3Place
from demo.lethe import Lethe
from demo.parts import Postgres, Redis
from demo.ports import server_port
from demo.processes import Process, wait_until
from demo.s3 import S3
from shared import logs
from shared.database import connections, migrate
from shared.settings import Settings

GATEWAY_KEY = "bench-gateway-key"
_START_SECONDS = 30


@dataclass
class Ground:
    """Servers that all measurements of a run share; each measurement makes databases of its own."""

    folder: Path
    postgres: Postgres
    redis: Redis
    stack: ExitStack
    _databases: int = 0
    _cache_numbers: int = 10

    @property
    def redis_base(self) -> str:
        """The Redis server's URL without a database number."""
        return self.redis.url.rsplit("/", 1)[0]

    def tenant_database(self) -> str:
        """A new, empty tenant database; its URL."""
        url = self._create_database("tenant")
        create_schema(url)
        return url

    def own_database(self) -> str:
        """A new, migrated own database; its URL."""
        url = self._create_database("own")
        engine = connections.connect(url, name="migrate")
        migrate.upgrade(engine)
        engine.dispose()
        return url

    def deployment(self, *, s3: S3Place | None = None) -> Deployment:
        """A deployment without instances."""
        self._cache_numbers += 1
        root = self.folder / f"evolution-{self._cache_numbers}"
        for place in ("instances", "store"):
            (root / place).mkdir(parents=True)
        return Deployment(self.tenant_database(), f"{self.redis_base}/{self._cache_numbers}", root, s3=s3)

    @contextmanager
    def copy(self, deployment: Deployment) -> Iterator[Deployment]:
        """The deployment with a copy of its database, on disk and in no buffer; dropped afterwards."""
        self._databases += 1
        base, _, template = deployment.database_url.rpartition("/")
        name = f"{template}_copy_{self._databases}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")  # it makes a checkpoint, too
        try:
            yield replace(deployment, database_url=f"{base}/{name}")
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def settings(self, deployment: Deployment, gateway: str, **changes: Any) -> Settings:
        """Settings as an operator has them: all defaults but for the addresses, and limits that never bind."""
        values: dict[str, Any] = {
            "admin_key": f"bench-admin-{secrets.token_hex(8)}",
            "secret_key": secrets.token_hex(32),
            "database_url": self.own_database(),
            "tenant_database_url": deployment.database_url,
            "redis_url": f"{self.redis_base}/1",
            "cache_url": deployment.cache_url,
            "gateways": gateway,
            "gateway_key": GATEWAY_KEY,
            "files_root": deployment.files_root,
            "bind": f"127.0.0.1:{server_port()}",
            "limit_per_minute": 1_000_000,
            "limit_per_hour": 1_000_000,
            "log_level": "WARNING",
        }
        if deployment.s3:
            values |= {
                "s3_bucket": deployment.s3.bucket,
                "s3_endpoint": deployment.s3.endpoint,
                "s3_access_key": deployment.s3.access_key,
                "s3_secret_key": deployment.s3.secret_key,
            }
        made = Settings(**{**values, **changes})
        logs.configure(made)
        return made

    @contextmanager
    def gateway(self, database_url: str) -> Iterator[str]:
        """The gateway's stand-in, in a process of its own; its URL."""
        port = server_port()
        argv = [sys.executable, "-m", "demo.evolution.gateway", "--port", str(port)]
        argv += ["--database-url", database_url, "--api-key", GATEWAY_KEY]
        process = Process.start("gateway", argv, log=self.folder / "gateway.log")
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(url), _START_SECONDS, "the gateway", process=process)
            yield url
        finally:
            process.stop()

    @contextmanager
    def lethe(self, settings: Settings) -> Iterator[Lethe]:
        """Lethe's processes as the Procfile has them."""
        folder = self.folder / f"lethe-{secrets.token_hex(4)}"
        folder.mkdir()
        running = Lethe(settings, folder)
        try:
            running.start()
            running.wait_until_ready()
            yield running
        finally:
            running.stop()

    @contextmanager
    def distant_bucket(self, seconds: float, *refused: str) -> Iterator[tuple[S3Place, S3Place]]:
        """An empty bucket of a real server: behind a proxy that adds latency and refuses these calls, and near."""
        server = S3.launch(self.folder / f"s3-{secrets.token_hex(4)}")
        try:
            server.wait_until_ready()
            near = S3Place(server.url, "evolution", server.access_key, server.secret_key)
            near.connect().create_bucket(Bucket=near.bucket)
            port = server_port()
            argv = [sys.executable, "-m", "bench.s3_proxy", server.url, str(port), str(seconds), *refused]
            process = Process.start("s3-proxy", argv, log=self.folder / "s3-proxy.log")
            try:
                url = f"http://127.0.0.1:{port}"
                wait_until(lambda: answers(url), _START_SECONDS, "the proxy", process=process)
                yield replace(near, endpoint=url), near
            finally:
                process.stop()
        finally:
            server.stop()

    def _execute(self, statement: LiteralString) -> None:
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(statement)

    def _create_database(self, kind: str) -> str:
        self._databases += 1
        return self.postgres.create_database(f"{kind}_{self._databases}")


@contextmanager
def ground() -> Iterator[Ground]:
    """Start PostgreSQL (with fsync, as in production) and Redis (with its append-only file)."""
    stage.forget_surroundings()
    with ExitStack() as stack:
        folder = stage.make_folder(stack)
        redis = Redis.start(folder, server_port())
        stack.callback(redis.stop)
        postgres = Postgres.start(folder, server_port())
        stack.callback(postgres.stop)
        yield Ground(folder, postgres, redis, stack)


def answers(url: str) -> bool:
    """Whether an HTTP server is there."""
    try:
        requests.get(url, timeout=2)
    except requests.RequestException:
        return False
    return True


def resident_bytes(process_id: int) -> int:
    """The resident memory of a process and all its descendants."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(resident_bytes(int(child)) for child in children)


def memory_bytes(process_id: int) -> int:
    """The memory of a process and all its descendants; what they share is counted once."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    rollup = Path(f"/proc/{process_id}/smaps_rollup").read_text()
    own = int(rollup.split("Pss:")[1].split()[0]) * 1024
    return own + sum(memory_bytes(int(child)) for child in children)
