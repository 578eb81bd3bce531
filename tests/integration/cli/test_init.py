"""From Evolution's own .env to the first deleted instance, with nothing but what `lethe init` has written."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from click.testing import CliRunner

from cli.main import main
from cli.setup import command, env_file
from demo.evolution.seed import seed_instance
from demo.lethe import environment
from shared.settings import PREFIX, Settings
from tests.system import GATEWAY_KEY, QUICK, System

REMOVE = ("DROP DATABASE IF EXISTS lethe WITH (FORCE)", "DROP OWNED BY lethe", "DROP ROLE lethe")


def evolution_env(system: System) -> str:
    """What Evolution's own .env has for this deployment."""
    made = system.deployment
    assert made.s3
    s3 = urlsplit(made.s3.endpoint)
    return f"""\
# Banco de dados
DATABASE_PROVIDER=postgresql
DATABASE_CONNECTION_URI='{made.database_url}?schema=public&connection_limit=10'
# Cache
CACHE_REDIS_ENABLED=true
CACHE_REDIS_URI={made.cache_url}
# MinIO: armazenamento de mídias
S3_ENABLED=true
S3_BUCKET={made.s3.bucket}
S3_ENDPOINT={s3.hostname}
S3_PORT={s3.port}
S3_USE_SSL=false
S3_ACCESS_KEY={made.s3.access_key}
S3_SECRET_KEY={made.s3.secret_key}
# Chave global da API
AUTHENTICATION_API_KEY={GATEWAY_KEY}
"""


@pytest.fixture
def system(make_system: Callable[..., System]) -> Iterator[System]:
    """A deployment whose PostgreSQL has no role lethe, before and after."""
    made = make_system()
    yield made
    made.stop()
    with psycopg.connect(made.deployment.database_url, autocommit=True) as connection:
        for statement in REMOVE:
            connection.execute(statement)
    made.close()


def test_a_deployment_of_ones_own(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, the SQL, the migrations; then a client of Evolution deletes with Evolution's global key."""
    (tmp_path / "evolution.env").write_text(evolution_env(system))
    monkeypatch.setattr(command, "may_ask", lambda *, yes: True)
    arguments = ["--evolution-env", "evolution.env", "--without-containers"]
    arguments += ["--gateway", system.gateways[0].url, "--folder", str(system.deployment.files_root)]
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(main, ["init", *arguments], input=f"{system.settings.redis_url.get_secret_value()}\n")
    with psycopg.connect(system.deployment.database_url, autocommit=True) as superuser:
        for statement in (tmp_path / "lethe-role.sql").read_text().split(";\n"):
            superuser.execute(statement)
    written = env_file.read(tmp_path / ".env")
    given = {name.removeprefix(PREFIX).lower(): value for name, value in written.items()}
    system.settings = Settings(**given).model_copy(update={**QUICK, "bind": system.settings.bind})  # type: ignore[arg-type]
    migrated = CliRunner().invoke(main, ["db", "upgrade"], env=environment(system.settings))
    system.start("web", "worker")
    seed_instance(system.deployment, "first")

    answer = system.delete("first", key=GATEWAY_KEY)

    assert "before these commands" in said.stdout
    assert "own database" in said.stdout  # which the SQL makes
    assert migrated.exit_code == 0, migrated.output
    assert (answer.status, answer.body["response"]["message"]) == (200, "Instance deleted")
