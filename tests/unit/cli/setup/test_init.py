"""`lethe init` makes Lethe's .env of Evolution's own, asks for what is missing, and shows no secret."""

import base64
import hashlib
import hmac
import json
import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.main import main
from cli.setup import command, env_file, role
from cli.setup.problems import Problem
from cli.setup.role import Place

EVOLUTION = """\
# Banco de dados: configuração da aplicação
DATABASE_PROVIDER=postgresql
DATABASE_CONNECTION_URI='postgresql://postgres:hunter2@postgres:5432/evolution?schema=evolution_api&connection_limit=5'
CACHE_REDIS_ENABLED=true
CACHE_REDIS_URI=redis://:hunter2@redis:6379/6
S3_ENABLED=true
S3_BUCKET=evolution
S3_ENDPOINT=minio
S3_SECRET_KEY='hunter2 $& longo'
AUTHENTICATION_API_KEY=hunter2-key
"""
COMPOSE = """\
name: evo
services:
  api:
    container_name: evolution_api
    environment: {environment}
    volumes: [evolution_instances:/evolution/instances, "./store:/evolution/store", other:/elsewhere]
    ports: ["8081:8080"]
    networks: [net]
  postgres:
    image: postgres:15
volumes: {{evolution_instances: }}
networks: {{net: {{name: evolution-net}}}}
"""


def init(path: Path, *options: str, typed: str | None = None) -> Result:
    """`lethe init`; typed is what somebody at a terminal types."""
    output = str(path.parent / "lethe.env")
    arguments = ["init", "--evolution-env", str(path), "--output", output, *options]
    return CliRunner().invoke(main, arguments, prog_name="lethe", input=typed, catch_exceptions=False)


def written(path: Path) -> dict[str, str]:
    """What a process would read."""
    return env_file.read(path.parent / "lethe.env")


@pytest.fixture
def evolution(tmp_path: Path) -> Path:
    """Evolution's .env, in a folder of its own."""
    path = tmp_path / "evolution.env"
    path.write_text(EVOLUTION, encoding="utf-8")
    return path


def test_it_writes_what_follows_and_makes_the_rest(evolution: Path) -> None:
    """A file for its owner only; the answer has no secret of it."""
    answer = init(evolution, "--gateway", "http://evolution:8080", "--yes")

    made = written(evolution)
    output = evolution.with_name("lethe.env")
    assert answer.exit_code == 0, answer.output
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert made["LETHE_TENANT_DATABASE_URL"].startswith("postgresql://lethe:")
    assert made["LETHE_TENANT_DATABASE_URL"].endswith("@postgres:5432/evolution")
    assert made["LETHE_TENANT_SCHEMA"] == "evolution_api"
    assert made["LETHE_S3_ENDPOINT"] == "http://minio:9000"
    assert made["LETHE_S3_SECRET_KEY"] == "hunter2 $& longo"
    assert (made["LETHE_GATEWAY_KEY"], made["LETHE_GATEWAY_KEY_MAY_DELETE"]) == ("hunter2-key", "true")
    assert len({made[name] for name in ("LETHE_ADMIN_KEY", "LETHE_SECRET_KEY", "LETHE_DATABASE_PASSWORD")}) == 3
    secrets = [made[name] for name in made if name.endswith(("_KEY", "PASSWORD", "AUTH"))]
    assert not [secret for secret in secrets if secret in answer.output]
    assert "hunter2" not in answer.output
    assert "GRANT USAGE ON SCHEMA evolution_api TO lethe" in answer.output
    assert "server evolution:8080;" in answer.output


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_windows_files_are_read(tmp_path: Path, encoding: str) -> None:
    """With a byte order mark, in UTF-16, and with its line ends."""
    path = tmp_path / "evolution.env"
    path.write_bytes(EVOLUTION.replace("\n", "\r\n").encode(encoding))

    assert init(path, "--gateway", "http://evolution:8080", "--yes").exit_code == 0
    assert written(path)["LETHE_CACHE_URL"] == "redis://:hunter2@redis:6379/6"


@pytest.mark.parametrize("form", ["map", "list", "file", "beside"])
def test_a_compose_file_says_where_evolution_is(tmp_path: Path, form: str) -> None:
    """Its environment as a map, as a list, or in the .env that it names; with network, volumes and ports."""
    pairs = env_file.parse(EVOLUTION)
    environment = {
        "map": json.dumps(pairs | {"AUTHENTICATION_API_KEY": "${KEY:-hunter2-key}"}),
        "list": json.dumps([f"{name}={value}" for name, value in pairs.items()]),
        "file": "{}\n    env_file: [evolution.env]",
        "beside": "{}\n    env_file: evolution.env",
    }[form].replace("$&", "$$&")
    (tmp_path / "evolution.env").write_text(EVOLUTION, encoding="utf-8")
    path = tmp_path / "docker-compose.yml"
    path.write_text(COMPOSE.format(environment=environment))

    answer = init(tmp_path / "evolution.env" if form == "beside" else path, "--yes")

    made = written(path)
    override = yaml.safe_load((tmp_path / "docker-compose.override.yml").read_text())
    assert answer.exit_code == 0, answer.output
    assert made["LETHE_GATEWAYS"] == "http://evolution_api:8080"
    assert made["LETHE_GATEWAY_KEY"] == "hunter2-key"
    assert made["LETHE_S3_SECRET_KEY"] == "hunter2 $& longo"
    assert override["networks"]["evolution"]["name"] == "evolution-net"
    assert override["volumes"]["evolution_1"]["name"] == "evo_evolution_instances"
    assert override["services"]["web"]["volumes"] == [
        "evolution_1:/evolution/instances",
        f"{tmp_path}/store:/evolution/store",
    ]
    assert "server 127.0.0.1:8081;" in answer.output
    assert "exec -T postgres psql" in answer.output


def test_what_is_missing_is_asked_for_and_no_more(monkeypatch: pytest.MonkeyPatch, evolution: Path) -> None:
    """Here the global key, which is not shown, and Evolution's address."""
    monkeypatch.setattr(command, "may_ask", lambda *, yes: not yes)
    evolution.write_text(EVOLUTION.replace("AUTHENTICATION_API_KEY=hunter2-key\n", ""))

    answer = init(evolution, typed="hunter3\nhttp://evolution:8080\n")

    assert answer.exit_code == 0, answer.output
    assert answer.stderr.count(": ") == 2
    assert written(evolution)["LETHE_GATEWAY_KEY"] == "hunter3"
    assert "hunter3" not in answer.output


def test_a_script_is_told_what_is_missing(evolution: Path) -> None:
    """It cannot be asked."""
    evolution.write_text(EVOLUTION.replace("AUTHENTICATION_API_KEY=hunter2-key\n", ""))

    answer = init(evolution, "--yes")

    assert (answer.exit_code, "AUTHENTICATION_API_KEY is not there" in answer.stderr) == (1, True)
    assert not evolution.with_name("lethe.env").exists()


def test_localhost_is_not_evolutions_in_a_container(evolution: Path) -> None:
    """The host of the container is."""
    text = EVOLUTION.replace("@postgres:5432", "@localhost:5432").replace("@redis:", "@127.0.0.1:")
    evolution.write_text(f"{text}\nKAFKA_ENABLED=true\nKAFKA_BROKERS=localhost:9092,kafka:9093,localhost:9094\n")

    init(evolution, "--gateway", "http://localhost:8080", "--yes")

    made = written(evolution)
    assert made["LETHE_TENANT_DATABASE_URL"].endswith("@host.docker.internal:5432/evolution")
    assert made["LETHE_CACHE_URL"] == "redis://:hunter2@host.docker.internal:6379/6"
    assert made["LETHE_GATEWAYS"] == "http://host.docker.internal:8080"
    brokers = "kafka://host.docker.internal:9092,kafka:9093,host.docker.internal:9094"
    assert made["LETHE_KAFKA_URL"] == brokers
    assert made["LETHE_PORT"] == "127.0.0.1:8090"


def test_an_existing_file_is_replaced_only_when_asked(monkeypatch: pytest.MonkeyPatch, evolution: Path) -> None:
    """Its secrets, the role's password and what this command does not write stay."""
    init(evolution, "--gateway", "http://evolution:8080", "--yes")
    output = evolution.with_name("lethe.env")
    output.write_text(output.read_text() + "LETHE_MAX_FAILURES=7\n")
    before = written(evolution)
    refused = init(evolution, "--gateway", "http://evolution:8081", "--yes")
    unchanged = written(evolution)
    monkeypatch.setattr(command, "may_ask", lambda *, yes: not yes)
    declined = init(evolution, "--gateway", "http://evolution:8081", typed="n\n")

    answer = init(evolution, "--gateway", "http://evolution:8081", typed="y\n")

    assert (refused.exit_code, declined.exit_code, unchanged) == (1, 1, before)
    assert answer.exit_code == 0, answer.output
    after = written(evolution)
    assert {name for name in before if before[name] != after.get(name)} == {"LETHE_GATEWAYS"}
    assert after["LETHE_MAX_FAILURES"] == "7"


def test_an_empty_file_is_replaced_too(monkeypatch: pytest.MonkeyPatch, evolution: Path) -> None:
    """It has nothing to keep."""
    monkeypatch.setattr(command, "may_ask", lambda *, yes: not yes)
    evolution.with_name("lethe.env").touch()

    answer = init(evolution, "--gateway", "http://evolution:8080", typed="y\n")

    assert answer.exit_code == 0, answer.output
    assert written(evolution)["LETHE_GATEWAYS"] == "http://evolution:8080"


def test_a_script_gets_one_document_with_all_notes(evolution: Path) -> None:
    """Also without containers, where the checks are only for people."""
    evolution.write_text(EVOLUTION.replace("redis:6379/6", "redis:6379/6?family=4"))

    answer = init(evolution, "--gateway", "http://evolution:8080", "--without-containers", "--json")

    told = json.loads(answer.stdout)
    assert told["written"] == [str(evolution.with_name(name)) for name in ("lethe.env", "lethe-role.sql")]
    assert told["notes"] == ["LETHE_CACHE_URL: family of its query is not used"]


def test_the_commands_name_the_files_that_were_written(evolution: Path) -> None:
    """With --output they are elsewhere."""
    said = init(evolution, "--gateway", "http://evolution:8080", "--yes").output

    assert f"< {evolution.with_name('lethe-role.sql')}\n" in said


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """And nothing unfinished is left."""
    (tmp_path / ".env").write_text("mine")

    with pytest.raises(FileExistsError):
        env_file.write(tmp_path / ".env", "other", replace=False)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("value", ["a b", "a&b$c", '"x"', "#x", "a=b", "ç", "`x`"])
def test_what_is_written_is_read_back(value: str) -> None:
    """By compose and by a shell alike."""
    assert env_file.parse(env_file.render({"x": {"NAME": value}})) == {"NAME": value.strip('"')}


@pytest.mark.parametrize("value", ["it's", "a\\b", "a\nb"])
def test_a_value_that_a_file_cannot_hold_is_refused(value: str) -> None:
    """Compose and a shell disagree about it."""
    with pytest.raises(Problem, match="NAME_FILE"):
        env_file.render({"x": {"NAME": value}})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("DATABASE_CONNECTION_URI=postgresql://${USER_X}@h/x\n", "refers to ${USER_X}"),
        ("A=1\n", "is it Evolution's?"),
        (EVOLUTION.replace("=postgresql\n", "=mysql\n"), "PostgreSQL only"),
        (EVOLUTION.replace("hunter2-key", "429683C4C977415CAAFCCE10F7D57E11"), "everyone knows"),
    ],
)
def test_what_cannot_be_used_ends_with_one_sentence(evolution: Path, content: str, says: str) -> None:
    """And writes nothing."""
    evolution.write_text(content)

    answer = init(evolution, "--gateway", "http://evolution:8080", "--yes")

    assert (answer.exit_code, len(answer.stderr.splitlines())) == (1, 1)
    assert says in answer.stderr
    assert not evolution.with_name("lethe.env").exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Without a traceback."""
    answer = init(tmp_path / "missing.env", "--yes")

    assert (answer.exit_code, "missing.env cannot be read" in answer.stderr) == (1, True)


def test_the_page_shows_the_same_sql() -> None:
    """docs/running.md has it to be copied by hand."""
    page = (Path(__file__).parents[4] / "docs/running.md").read_text()

    assert role.sql(Place(), "…") in page


def test_a_verifier_proves_the_password_and_does_not_tell_it() -> None:
    """SCRAM-SHA-256, as RFC 5803 has it."""
    made = role.verifier("hunter2")

    _, salted, keys = made.split("$")
    iterations, salt = salted.split(":")
    key = hashlib.pbkdf2_hmac("sha256", b"hunter2", base64.b64decode(salt), int(iterations))
    stored = hashlib.sha256(hmac.digest(key, b"Client Key", "sha256")).digest()
    assert base64.b64decode(keys.split(":")[0]) == stored
    assert "hunter2" not in made


@pytest.mark.parametrize(
    ("schema", "quoted"), [("public", "public"), ("Minha Área", '"Minha Área"'), ('a"b', '"a""b"')]
)
def test_names_are_quoted(schema: str, quoted: str) -> None:
    """Only where they have to be."""
    assert f"GRANT USAGE ON SCHEMA {quoted} TO lethe;" in role.sql(Place(schema=schema), "x")
