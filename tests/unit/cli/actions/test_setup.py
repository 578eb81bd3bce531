"""What is shown of a URL."""

import pytest
from pydantic import SecretStr

from cli.actions import setup


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:word@host:5432/db", "postgresql://u:***@host:5432/db"),
        ("postgresql://u:wo@rd@host/db", "postgresql://u:***@host/db"),
        ("redis://:word@host/0", "redis://:***@host/0"),
        ("postgresql://host/db?user=u&password=word", "postgresql://host/db?user=***&password=***"),
        ("https://hooks.invalid/x?token=word", "https://hooks.invalid/x?token=***"),
        ("https://hooks.invalid/x", "https://hooks.invalid/x"),
        ("postgresql://u:word@[broken/db", "***"),
        ("postgresql://u:wo#rd@host/db", "***"),
        ("postgresql://u:wo?rd@host/db", "***"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    """A password can be in the login or in the query."""
    assert setup.mask_url(url) == shown


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("postgresql://u:word@a/db, postgresql://u:word@b/db", "postgresql://u:***@a/db,postgresql://u:***@b/db"),
        ("amqp://u:word@a//;amqp://u:word@b//", "amqp://u:***@a//,amqp://u:***@b//"),
        ("kafka://u:word@a:9092,b:9092", "kafka://u:***@a:9092,b:9092"),
        ("https://hooks.slack.com/services/T0/B0/word", "https://hooks.slack.com/***"),
        ("https://word@hooks.invalid?word", "https://hooks.invalid/***"),
        ("word", "***"),
    ],
)
def test_a_secret_is_masked_in_every_url_of_it(secret: str, shown: str) -> None:
    """Several replicas or brokers have a password each; the path of a receiver's URL is its secret."""
    assert setup.mask(SecretStr(secret)) == shown
