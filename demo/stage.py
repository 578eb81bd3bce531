"""Everything the demo runs on, each part started in order and handed to a stack that stops it in reverse."""

import logging
import os
import secrets
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from moto.server import ThreadedMotoServer

from demo import interrupts
from demo.evolution.database import create_schema
from demo.evolution.deployment import Deployment, S3Place
from demo.evolution.gateway import Gateway
from demo.evolution.receiver import Receiver
from demo.lethe import Lethe
from demo.parts import Postgres, Redis
from demo.ports import server_port
from shared.database import connections, migrate
from shared.settings import Settings

# What the caller's shell has set for other servers must not reach ours.
FOREIGN = ("LETHE_", "CELERY_", "FLOWER_", "GUNICORN_", "PG", "AWS_", "MOTO_")


@dataclass(frozen=True)
class Stores:
    """The deployment's four stores, and Lethe's own database and Redis."""

    deployment: Deployment
    own_url: str
    redis_url: str


@dataclass(frozen=True)
class Outside:
    """Who Lethe talks to: a gateway, and a receiver of webhooks."""

    gateway: Gateway
    receiver: Receiver
    gateway_key: str


def forget_surroundings() -> None:
    """Drop the environment variables that would change what we start."""
    for name in list(os.environ):
        if name.startswith(FOREIGN) or name.lower().endswith("_proxy"):
            del os.environ[name]


def make_folder(stack: ExitStack) -> Path:
    """A temporary folder that goes in the end, with all that anybody here puts into temporary files."""
    folder = Path(tempfile.mkdtemp(prefix="lethe-demo-")).resolve()
    stack.callback(shutil.rmtree, folder)
    # Started by root, PostgreSQL runs under another account, which has to pass through.
    folder.chmod(0o711)
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    return folder


def start_stores(stack: ExitStack, folder: Path) -> Stores:
    """Start Redis, PostgreSQL and S3; create the databases, the bucket and the folder."""
    redis = Redis.start(folder, server_port())
    stack.callback(redis.stop)
    interrupts.check()
    postgres = Postgres.start(folder, server_port())
    stack.callback(postgres.stop)
    interrupts.check()
    files_root = folder / "evolution"
    for place in ("instances", "store"):
        (files_root / place).mkdir(parents=True)
    base = redis.url.rsplit("/", 1)[0]
    tenant_url = postgres.create_database("evolution")
    create_schema(tenant_url)
    s3 = _start_s3(stack)
    deployment = Deployment(database_url=tenant_url, cache_url=f"{base}/0", files_root=files_root, s3=s3)
    return Stores(deployment, _create_own_database(postgres), f"{base}/1")


def start_outside(stack: ExitStack, stores: Stores) -> Outside:
    """Start the gateway's stand-in and the webhook receiver, in this process."""
    key = secrets.token_hex(16)
    gateway = Gateway(stores.deployment.database_url, key)
    receiver = Receiver()
    for server in (gateway, receiver):
        server.start()
        stack.callback(server.stop)
    return Outside(gateway, receiver, key)


def start_lethe(stack: ExitStack, folder: Path, stores: Stores, outside: Outside) -> Lethe:
    """Start Lethe's processes; they are not ready yet."""
    deployment, s3 = stores.deployment, stores.deployment.s3
    assert s3
    settings = Settings(
        admin_key=f"demo-admin-{secrets.token_hex(8)}",
        secret_key=secrets.token_hex(32),
        database_url=stores.own_url,
        tenant_database_url=deployment.database_url,
        redis_url=stores.redis_url,
        cache_url=deployment.cache_url,
        webhook_allow="127.0.0.1",
        gateways=outside.gateway.url,
        gateway_key=outside.gateway_key,
        files_root=deployment.files_root,
        s3_bucket=s3.bucket,
        s3_endpoint=s3.endpoint,
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
        bind=f"127.0.0.1:{server_port()}",
        limit_per_minute=1000,
        limit_per_hour=1000,
        # Only what a failure is explained by: nobody reads the rest.
        log_level="WARNING",
    )
    lethe = Lethe(settings, folder)
    stack.callback(lethe.stop)
    lethe.start()
    interrupts.check()
    return lethe


def _start_s3(stack: ExitStack) -> S3Place:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    stack.callback(server.stop)
    host, port = server.get_host_and_port()
    place = S3Place(f"http://{host}:{port}", "evolution", "demo", "demo-secret")
    place.connect().create_bucket(Bucket=place.bucket)
    return place


def _create_own_database(postgres: Postgres) -> str:
    url = postgres.create_database("lethe")
    engine = connections.connect(url, name="migrate")
    migrate.upgrade(engine)
    engine.dispose()
    return url
