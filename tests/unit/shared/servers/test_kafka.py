"""A URL of Kafka becomes what librdkafka is told; it refuses a wrong option only when a client is made."""

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from shared.servers.kafka import configuration


@pytest.mark.parametrize(
    ("url", "becomes"),
    [
        ("kafka://h", {"bootstrap.servers": "h:9092", "security.protocol": "PLAINTEXT"}),
        ("kafka://a:1,b:2/", {"bootstrap.servers": "a:1,b:2", "security.protocol": "PLAINTEXT"}),
        ("kafka://[::1]:9093", {"bootstrap.servers": "[::1]:9093", "security.protocol": "PLAINTEXT"}),
        (
            "kafka://u:p%40@h:9092",
            {
                "bootstrap.servers": "h:9092",
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "PLAIN",
                "sasl.username": "u",
                "sasl.password": "p@",
            },
        ),
        (
            "kafka+ssl://u:p@h?mechanism=scram-sha-512&verify=false",
            {
                "bootstrap.servers": "h:9092",
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": "u",
                "sasl.password": "p",
                "enable.ssl.certificate.verification": "false",
            },
        ),
    ],
)
def test_a_url_says_all_that_librdkafka_needs(url: str, becomes: dict[str, str]) -> None:
    """And librdkafka takes it."""
    found = configuration(url, None)

    AdminClient({**found, "log_level": "0"})
    assert found == becomes


def test_a_certificate_is_named_by_its_file(tmp_path: Path) -> None:
    """Of the client, and of the authority."""
    (tmp_path / "pem").write_text("")
    path = str(tmp_path / "pem")

    found = configuration(f"kafka+ssl://h?cert={path}&key={path}", "/ca.pem")

    assert (found["ssl.certificate.location"], found["ssl.key.location"]) == (path, path)
    assert found["ssl.ca.location"] == "/ca.pem"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("kafka://", "kafka://user:password@host1:9092"),
        ("kafka://u:hunter2/@h", "percent-encoded"),
        ("kafka://h:99999", "host and a port"),
        ("kafka://h:x", "host and a port"),
        ("kafka://h?mechanism=plain", "needs a user"),
        ("kafka://u:hunter2@h?mechanism=oauthbearer", "scram-sha-256"),
        ("kafka://h?verify=false", "kafka\\+ssl://"),
        ("kafka+ssl://h?verify=no", "true or false"),
        ("kafka+ssl://h?cert=/x", "go together"),
        ("kafka+ssl://h?cert=/x&key=/x", "the file of cert is not there"),
        ("kafka://h?ssl=true", "there is no parameter ssl"),
    ],
)
def test_what_cannot_work_is_refused(url: str, says: str) -> None:
    """With what to write instead, and without the password."""
    with pytest.raises(ValueError, match=says) as raised:
        configuration(url, None)

    assert "hunter2" not in str(raised.value)
