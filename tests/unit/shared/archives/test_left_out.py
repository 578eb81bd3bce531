"""Which columns hold credentials, by their names."""

import pytest

from shared.archives import left_out


@pytest.mark.parametrize(
    ("table", "column", "category"),
    [
        ("Session", "creds", "S"), ("Instance", "token", "S"), ("OpenaiCreds", "apiKey", "S"), ("Dify", "apiKey", "S"),
        ("Proxy", "password", "S"), ("Proxy", "username", "S"), ("Pusher", "key", "S"), ("Pusher", "secret", "S"),
        ("Webhook", "headers", "U"), ("N8n", "basicAuthPass", "S"), ("Setting", "wavoipToken", "S"),
        ("New", "clientSecret", "S"), ("New", "private_key", "S"), ("New", "authorization", "U"),
    ],
)  # fmt: skip
def test_credentials(table: str, column: str, category: str) -> None:
    """Of Evolution's tables, and of tables that do not exist yet."""
    assert left_out.is_secret(table, column, category)


@pytest.mark.parametrize(
    ("table", "column", "category"),
    [
        ("OpenaiBot", "maxTokens", "N"), ("OpenaiBot", "openaiCredsId", "S"), ("Message", "key", "U"),
        ("MessageUpdate", "keyId", "S"), ("Message", "message", "U"), ("Typebot", "keywordFinish", "S"),
        ("New", "author", "S"), ("Contact", "pushName", "S"), ("OpenaiSetting", "openaiIdFallback", "S"),
    ],
)  # fmt: skip
def test_data(table: str, column: str, category: str) -> None:
    """What only sounds like it."""
    assert not left_out.is_secret(table, column, category)
