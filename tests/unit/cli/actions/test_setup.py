"""What is shown of a URL."""

import pytest

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
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    """A password can be in the login or in the query."""
    assert setup.mask_url(url) == shown
