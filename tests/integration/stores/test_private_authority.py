"""LETHE_CA_FILE: servers whose certificates a private authority signed, on real TLS; beside the public ones."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import certifi
import psycopg
import pytest
from pydantic import SecretStr

from cli.runtime import NOT_SET
from demo.evolution.seed import seed_instance
from demo.parts import Postgres
from shared import certificates
from shared.database import connections
from shared.errors import TransientError, Unreachable
from shared.webhooks import delivery
from shared.webhooks.events import GLOBAL, Event
from tests.integration.shell import lethe
from tests.integration.tls import Authority
from tests.servers import make_templates
from tests.system import System, running

CONNECTS = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Of the operator."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def postgres_with_tls(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL of its own, with a certificate of that authority."""
    part = Postgres.start(tmp_path_factory.mktemp("tls"), fast=True)
    make_templates(part)
    with psycopg.connect(part.url, autocommit=True) as connection:
        (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        for source in (authority.certificate, authority.key):
            target = Path(folder) / source.name
            shutil.copy(source, target)
            owner = Path(folder).stat()
            os.chown(target, owner.st_uid, owner.st_gid)
            target.chmod(0o600)
            kind = "key" if source == authority.key else "cert"
            connection.execute(f"ALTER SYSTEM SET ssl_{kind}_file = '{target}'".encode())
        connection.execute("ALTER SYSTEM SET ssl = on")
        connection.execute("SELECT pg_reload_conf()")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def system(authority: Authority, postgres_with_tls: Postgres, make_system: Callable[..., System]) -> Iterator[System]:
    """Every server that Lethe speaks to has TLS, with certificates of the authority."""
    made = make_system(own_postgres=postgres_with_tls)
    settings = made.settings
    with ExitStack() as stack:

        def tls(url: str) -> str:
            return stack.enter_context(authority.before(url))

        assert settings.cache_url
        assert settings.s3_endpoint
        own = f"{settings.database_url.get_secret_value()}?sslmode=verify-full"
        changes: dict[str, Any] = {
            "ca_file": authority.file,
            "database_url": SecretStr(own),
            "redis_url": SecretStr(f"rediss://{tls(settings.redis_url.get_secret_value())}"),
            "cache_url": SecretStr(f"rediss://{tls(settings.cache_url.get_secret_value())}"),
            "gateways": tuple(f"https://{tls(url)}" for url in settings.gateways),
            "s3_endpoint": f"https://{tls(settings.s3_endpoint)}",
            "webhook_global_url": f"https://{tls(made.receiver.url)}",
        }
        made.settings = settings.model_copy(update=changes)
        yield made


def test_a_deletion_goes_through_tls_alone(system: System) -> None:
    """In the processes of production, which fork: API, broker, databases, cache, gateway, S3 and webhook."""
    instance = seed_instance(system.deployment, "all in TLS")
    with running(system, "web", "worker", "beat"):
        answer = system.delete("all in TLS")

    assert answer.status == 200, answer.text
    assert system.deployment.s3
    listed = system.deployment.s3.connect().list_objects_v2(
        Bucket=system.deployment.s3.bucket, Prefix=f"evolution-api/{instance.id}/"
    )
    assert listed["KeyCount"] == 0
    assert system.receiver.received


def test_without_the_file_no_server_is_trusted(system: System) -> None:
    """Each as far as it says so itself."""
    services = system.make_services(ca_file=None)

    with pytest.raises(Unreachable, match="no authority that Lethe trusts"):
        services.gateways[0].probe()
    with pytest.raises(Unreachable, match="bucket cannot be reached: SSLError"):
        next(each for each in services.storages if each.kind == "objects").probe()
    assert services.cache
    for redis in (services.redis, services.cache.redis):
        with pytest.raises(Exception, match="certificate verify failed"):
            redis.ping()
    with pytest.raises(TransientError, match="root certificate file"), connections.own_statement(services.own):
        pass
    event = Event("1", GLOBAL, system.settings.webhook_global_url or "", {}, {})
    assert delivery.deliver(event, services.settings) == "SSLError"


@pytest.mark.parametrize("sslmode", ["", "disable", "prefer", "require"])
def test_a_mode_that_does_not_look_at_certificates_stays_as_it_is(
    postgres_with_tls: Postgres, authority: Authority, tmp_path: Path, sslmode: str
) -> None:
    """With a file of roots, libpq would take `require` for `verify-ca`: here they are another authority's."""
    other = Authority(tmp_path)
    url = f"{postgres_with_tls.url}?sslmode={sslmode}" if sslmode else postgres_with_tls.url
    engine = connections.connect(url, name="test", ca_file=other.file)
    with engine.connect() as connection:
        assert connection.exec_driver_sql(CONNECTS).scalar_one() is (sslmode != "disable")
    engine.dispose()


@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
def test_a_mode_that_looks_gets_the_roots(postgres_with_tls: Postgres, authority: Authority, sslmode: str) -> None:
    """And a sslrootcert of the URL stays."""
    url = f"{postgres_with_tls.url}?sslmode={sslmode}"
    engine = connections.connect(url, name="test", ca_file=authority.file)
    with engine.connect() as connection:
        assert connection.exec_driver_sql(CONNECTS).scalar_one() is True
    engine.dispose()
    own = connections.connect(f"{url}&sslrootcert={certifi.where()}", name="test", ca_file=authority.file)
    with pytest.raises(Exception, match="certificate verify failed"):
        own.connect()


def test_the_public_authorities_stay(authority: Authority) -> None:
    """The file adds to them."""
    path = certificates.bundle(authority.file)
    assert path

    def of(file: str | Path) -> set[str]:
        return set(re.findall(r"-----BEGIN CERTIFICATE-----[^-]+", Path(file).read_text()))

    assert of(path) >= of(certifi.where()) | of(authority.file)


def test_doctor_names_the_setting(system: System) -> None:
    """It does not advise to give the gateway up."""
    answer = lethe(system, "doctor", "--json", LETHE_CA_FILE="")
    advice = {row["part"]: row["advice"] for row in json.loads(answer.stdout)}

    gateway = next(part for part in advice if part.startswith("gateway "))
    for part in (gateway, "bucket", "redis", "cache"):
        assert "LETHE_CA_FILE" in advice[part], part


@pytest.mark.parametrize(("content", "why"), [(None, "cannot be read"), ("no certificate", "is no PEM file")])
def test_a_file_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path, content: str | None, why: str) -> None:
    """With the setting's name."""
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    answer = lethe(None, "doctor", LETHE_CA_FILE=str(file))

    assert answer.returncode == NOT_SET
    assert re.search(f"LETHE_CA_FILE: .*{why}", answer.stderr)
