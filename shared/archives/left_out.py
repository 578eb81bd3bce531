"""What an archive leaves out unless it is asked for: columns that hold credentials, by their names."""

import re

# Names of columns as Evolution has them, and as others would call them. `openaiCredsId` is a key, and no secret.
_SECRET = re.compile(
    r"token|secret|passw|passphrase|pwd|api_?key|access_?key|private_?key|creds|credential|auth(?!or(?!iz))|bearer|cookie|jwt"
    r"|session_?key|signing",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"(Id|_id)(Fallback)?$")
# Secrets of which the name says nothing.
_MORE = {("Webhook", "headers"), ("Pusher", "key"), ("Proxy", "username")}
_SILENT_TYPES = "BNDTI"  # categories of PostgreSQL: booleans, numbers, times, spans, addresses


def is_secret(table: str, column: str, category: str) -> bool:
    """Whether a column holds credentials: `maxTokens` is a number, and `token` is text."""
    if (table, column) in _MORE:
        return True
    return category not in _SILENT_TYPES and bool(_SECRET.search(column)) and not _REFERENCE.search(column)
