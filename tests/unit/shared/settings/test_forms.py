"""Values in the forms of Evolution's own .env are taken as they are, or refused with what to write instead."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from shared import logs, settings
from shared.settings import Settings
from shared.settings.forms import text
from tests.unit.conftest import REQUIRED

MakeSettings = Callable[..., Settings]
BASE = "postgresql://u:hunter2@h:5432/evolution"


def value(made: Settings, name: str) -> Any:
    """The setting's value, also of a secret."""
    found = getattr(made, name)
    return found.get_secret_value() if isinstance(found, SecretStr) else found


@pytest.mark.parametrize(
    ("query", "becomes", "left_out"),
    [
        ("", "", ()),
        ("?schema=public", "", ()),
        ("?schema=evolution_api", "", ()),
        ("?pgbouncer=true&connection_limit=5", "", ("pgbouncer", "connection_limit")),
        ("?schema=x&pool_timeout=10&connect_timeout=5", "", ("pool_timeout", "connect_timeout")),
        ("?socket_timeout=3&max_idle_connection_lifetime=9", "", ("socket_timeout", "max_idle_connection_lifetime")),
        ("?statement_cache_size=0", "", ("statement_cache_size",)),
        ("?application_name=evolution", "", ("application_name",)),
        ("?supa=base-pooler.x&sslmode=require", "?sslmode=require", ("supa",)),
        ("?sslmode=disable", "?sslmode=disable", ()),
        ("?sslmode=prefer&schema=public", "?sslmode=prefer", ()),
        ("?sslmode=verify-full&sslrootcert=/ca.pem", "?sslmode=verify-full&sslrootcert=/ca.pem", ()),
        ("?sslmode=no-verify", "?sslmode=require", ()),
        ("?ssl=true", "?sslmode=require", ()),
        ("?sslmode=require&sslcert=/certs/ca.pem", "?sslmode=require&sslrootcert=/certs/ca.pem", ()),
        ("?sslmode=require&sslcert=/ca.pem&sslaccept=strict", "?sslmode=verify-full&sslrootcert=/ca.pem", ()),
        ("?sslmode=require&sslaccept=strict", "?sslmode=verify-full&sslrootcert=system", ()),
        ("?sslmode=require&sslcert=/ca.pem&sslaccept=accept_invalid_certs", "?sslmode=require", ("sslcert",)),
        ("?sslmode=disable&sslaccept=strict", "?sslmode=disable", ()),
        ("?sslcert=/me.crt&sslkey=/me.key", "?sslcert=/me.crt&sslkey=/me.key", ()),
        ("?sslcert=/me.crt&sslrootcert=/ca.crt&schema=x", "?sslcert=/me.crt&sslrootcert=/ca.crt", ()),
        ("?host=/var/run/postgresql&schema=public", "?host=/var/run/postgresql", ()),
        ("?options=-c%20search_path%3Dx&pgbouncer=true", "?options=-c%20search_path%3Dx", ("pgbouncer",)),
        ("?target_session_attrs=read-write", "?target_session_attrs=read-write", ()),
        ("?channel_binding=prefer&schema=public", "?channel_binding=prefer", ()),
    ],
)  # fmt: skip
def test_prismas_parameters_are_understood(
    make_settings: MakeSettings, query: str, becomes: str, left_out: tuple[str, ...]
) -> None:
    """What means nothing to Lethe is left out, and named."""
    made = make_settings(tenant_database_url=BASE + query)

    assert value(made, "tenant_database_url") == (BASE + becomes)
    assert made.left_out.get("tenant_database_url", ()) == left_out


@pytest.mark.parametrize(
    ("query", "explicit", "schema"),
    [
        ("", {}, "public"),
        ("?schema=evolution_api", {}, "evolution_api"),
        ("?schema=", {}, "public"),
        ("?schema=evolution_api", {"tenant_schema": "mine"}, "mine"),
    ],
)
def test_the_schema_of_the_url_is_the_schema_unless_another_is_set(
    make_settings: MakeSettings, query: str, explicit: dict[str, str], schema: str
) -> None:
    """Of Evolution's tables."""
    assert make_settings(tenant_database_url=BASE + query, **explicit).tenant_schema == schema


@pytest.mark.parametrize(
    ("url", "becomes"),
    [
        ("postgres://u:p@h/evolution", "postgres://u:p@h/evolution"),
        ("postgresql://u:p@ss@h:5432/evolution?schema=x", "postgresql://u:p%40ss@h:5432/evolution"),
        ("postgresql://u:p?w@h/db?schema=x", "postgresql://u:p?w@h/db"),
        (
            "postgresql://u:p@a:1,b:2/db?schema=x&target_session_attrs=read-write",
            "postgresql://u:p@a:1,b:2/db?target_session_attrs=read-write",
        ),
        ("postgresql://h/db?user=a@b&schema=x", "postgresql://h/db?user=a%40b"),
    ],
)
def test_logins_and_hosts_stay(make_settings: MakeSettings, url: str, becomes: str) -> None:
    """Only an @ in a password is encoded, for it would be the end of it."""
    assert value(make_settings(tenant_database_url=url), "tenant_database_url") == becomes


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("tenant_database_url", "mysql://u:hunter2@h/evolution", "MySQL"),
        ("tenant_database_url", "prisma://accelerate/?api_key=hunter2", "write the database's own"),
        ("tenant_database_url", "prisma+postgres://accelerate/?api_key=hunter2", "write the database's own"),
        ("tenant_database_url", f"{BASE}?sslmod=require", "is it sslmode?"),
        ("tenant_database_url", f"{BASE}?sslmode=on", "sslmode is none of disable, allow, prefer, require"),
        ("tenant_database_url", f"{BASE}?sslaccept=yes", "neither strict nor accept_invalid_certs"),
        ("tenant_database_url", f"{BASE}?sslidentity=client.p12&sslpassword=hunter2", "write sslcert=, sslkey="),
        ("tenant_database_url", f"{BASE}?sslmode=require&sslcert=../cert.pem", "write the absolute path"),
        ("database_url", f"{BASE}?schema=lethe", "search_path"),
        ("replica_urls", f"{BASE}?schema=x,mysql://u:hunter2@h/x", "MySQL"),
        ("cache_url", "redis://:hunter2@h:6379/evolution", "a database's number"),
        ("cache_url", "localhost:6379", "redis://"),
        ("s3_endpoint", "minio://h", "write the host alone"),
        ("s3_endpoint", "minio.example.com/bucket", "LETHE_S3_BUCKET"),
        ("rabbitmq_url", "http://u:hunter2@h:15672", "amqp://"),
        ("kafka_url", "localhost:9092", "kafka://"),
        ("kafka_url", "kafka://u:hunter2@h:x", "host and a port"),
        ("notify_url", "hooks.example.com/hunter2", "http:// or https://"),
        ("webhook_global_url", "receiver.example.com/x?key=hunter2", "http:// or https://"),
        ("sqs_endpoint", "sqs.example.com", "http:// or https://"),
        ("gateways", "evolution:8080", "http(s)"),
    ],
)
def test_what_cannot_work_is_refused_by_name(make_settings: MakeSettings, name: str, given: str, says: str) -> None:
    """With what to write instead, and without the password."""
    with pytest.raises(ValidationError) as raised:
        make_settings(**{name: given})

    said = settings.explain(raised.value)
    assert f"LETHE_{name.upper()}: " in said
    assert says in said
    assert "hunter2" not in said + str(raised.value)


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ({"s3_endpoint": "minio.example.com", "s3_port": "443", "s3_use_ssl": "true"}, "https://minio.example.com"),
        ({"s3_endpoint": "minio", "s3_port": "9000", "s3_use_ssl": "false"}, "http://minio:9000"),
        ({"s3_endpoint": "minio"}, "http://minio:9000"),
        ({"s3_endpoint": "minio:9001"}, "http://minio:9001"),
        ({"s3_endpoint": "minio", "s3_port": "443"}, "https://minio"),
        ({"s3_endpoint": "minio", "s3_port": "80"}, "http://minio"),
        ({"s3_endpoint": "minio", "s3_use_ssl": "true"}, "https://minio:9000"),
        ({"s3_endpoint": "minio/", "s3_port": 9000}, "http://minio:9000"),
        ({"s3_endpoint": "[::1]", "s3_port": 9000}, "http://[::1]:9000"),
        ({"s3_endpoint": "s3.amazonaws.com"}, "https://s3.amazonaws.com"),
        ({"s3_endpoint": "https://minio:9000"}, "https://minio:9000"),
        ({"s3_endpoint": "https://minio", "s3_port": 9443}, "https://minio:9443"),
        ({"s3_endpoint": "https://minio", "s3_port": 443, "s3_use_ssl": True}, "https://minio"),
    ],
)
def test_an_s3_endpoint_takes_evolutions_three_variables(
    make_settings: MakeSettings, given: dict[str, Any], becomes: str
) -> None:
    """S3_ENDPOINT, S3_PORT and S3_USE_SSL, with Evolution's defaults."""
    assert make_settings(**given).s3_endpoint == becomes


@pytest.mark.parametrize(
    "given",
    [
        {"s3_endpoint": "http://minio", "s3_use_ssl": "true"},
        {"s3_endpoint": "https://minio", "s3_use_ssl": "false"},
        {"s3_endpoint": "minio:9000", "s3_port": "443"},
    ],
)
def test_an_s3_endpoint_that_contradicts_itself_is_refused(make_settings: MakeSettings, given: dict[str, Any]) -> None:
    """Nobody guesses which one is meant."""
    with pytest.raises(ValidationError, match="leave one of them out"):
        make_settings(**given)


def test_a_region_of_aws_is_known_from_the_endpoint(make_settings: MakeSettings) -> None:
    """Unless it is set."""
    endpoint = "s3.eu-west-3.amazonaws.com"

    assert make_settings(s3_endpoint=endpoint).s3_region == "eu-west-3"
    assert make_settings(s3_endpoint=endpoint, s3_region="us-east-2").s3_region == "us-east-2"
    assert make_settings(s3_endpoint="minio").s3_region == "us-east-1"


@pytest.mark.parametrize(
    ("name", "given", "becomes"),
    [
        ("tenant_database_url", f"'{BASE}?schema=public'", BASE),
        ("tenant_database_url", f'"{BASE}"\r', BASE),
        ("cache_url", "redis://localhost:6379/6", "redis://localhost:6379/6"),
        ("cache_url", "'redis://:senha@h:6379/1'", "redis://:senha@h:6379/1"),
        ("cache_url", "rediss://default:p@h:6380", "rediss://default:p@h:6380"),
        ("cache_url", "redis://default:p@h:6379/0?family=0", "redis://default:p@h:6379/0"),
        ("cache_url", "''", None),
        ("cache_prefix", '"evolution"', "evolution"),
        ("rabbitmq_url", "amqp://localhost", "amqp://localhost"),
        ("rabbitmq_url", "'amqp://admin:admin@rabbitmq:5672/default'", "amqp://admin:admin@rabbitmq:5672/default"),
        ("rabbitmq_url", "amqp://h/vhost?heartbeat=30&frameMax=8192", "amqp://h/vhost"),
        ("kafka_url", "'kafka://u:p@h:9092'", "kafka://u:p@h:9092"),
        ("kafka_url", "''", None),
        ("kafka_topic_prefix", '"acme"', "acme"),
        ("notify_url", "'https://hooks.example.com/x'", "https://hooks.example.com/x"),
        ("notify_form", "'slack'", "slack"),
        ("webhook_form", "'server'", "server"),
        ("sqs_region", "'sa-east-1'", "sa-east-1"),
        ("sqs_access_key", "'AKIA'", "AKIA"),
        ("s3_bucket", "'evolution'", "evolution"),
        ("s3_secret_key", "'a'b'", "a'b"),
        ("webhook_global_url", "''", None),
        ("webhook_global_url", "'https://receiver.example.com/x'", "https://receiver.example.com/x"),
        ("webhook_global_by_events", "'true'", True),
        ("gateway_key", "'429683C4C977415CAAFCCE10F7D57E11'", "429683C4C977415CAAFCCE10F7D57E11"),
        ("gateways", "'http://localhost:8080'", ("http://localhost:8080",)),
        ("gateway_key", "it's", "it's"),
        ("gateway_key", "'", "'"),
    ],
)
def test_quotes_and_line_ends_are_no_part_of_a_value(
    make_settings: MakeSettings, name: str, given: str, becomes: Any
) -> None:
    """`docker run --env-file` and files of Windows leave them there."""
    assert value(make_settings(**{name: given}), name) == becomes


def test_the_secret_key_stays_as_it_is(make_settings: MakeSettings) -> None:
    """Hashes and ciphertexts that are stored were made with it, quotes and all."""
    assert value(make_settings(secret_key=f"'{'x' * 40}'\r"), "secret_key") == f"'{'x' * 40}'\r"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_is_read_in_each_encoding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str) -> None:
    """Windows' editors write a byte order mark, or UTF-16."""
    path = tmp_path / "key"
    path.write_bytes("uma-chave-não-curta\r\n".encode(encoding))
    monkeypatch.setenv("LETHE_GATEWAY_KEY_FILE", str(path))

    made = Settings(**{name: given for name, given in REQUIRED.items() if name != "gateway_key"})

    assert value(made, "gateway_key") == "uma-chave-não-curta"


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """With its name."""
    (tmp_path / "key").write_bytes("não".encode("latin-1"))

    with pytest.raises(OSError, match="UTF-16") as raised:
        text.read(tmp_path / "key")
    assert "key: it is neither UTF-8 nor UTF-16" in settings.explain(raised.value)


def test_what_is_left_out_is_logged_by_name(make_settings: MakeSettings, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for a URL, without a value of it."""
    logs.configure(make_settings(tenant_database_url=f"{BASE}?pgbouncer=true&connection_limit=5"))

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert '"parameters": ["pgbouncer", "connection_limit"]' in lines[0]
    assert "hunter2" not in lines[0]


def test_evolutions_global_key_may_delete_however_short_it_is(make_settings: MakeSettings) -> None:
    """Evolution accepts any; by default Lethe does not accept it at all."""
    assert make_settings(gateway_key="abc", gateway_key_may_delete="true").gateway_key_may_delete
    assert not make_settings().gateway_key_may_delete


@pytest.mark.parametrize("key", ["429683C4C977415CAAFCCE10F7D57E11", "BQYHJGJHJ", "mude-me"])
def test_a_published_key_may_not_delete(make_settings: MakeSettings, key: str) -> None:
    """Everyone knows it; to ask Evolution's servers with it is the operator's choice."""
    assert make_settings(gateway_key=key)

    with pytest.raises(ValidationError, match="which everyone knows"):
        make_settings(gateway_key=key, gateway_key_may_delete=True)


def test_the_global_key_is_never_the_one_that_may_do_everything(make_settings: MakeSettings) -> None:
    """Each client of Evolution has it."""
    with pytest.raises(ValidationError, match="may do everything"):
        make_settings(gateway_key=REQUIRED["admin_key"], gateway_key_may_delete=True)
