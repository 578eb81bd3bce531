"""The SQL for Lethe's role in Evolution's database; docs/running.md shows the same."""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

_ITERATIONS = 4096  # PostgreSQL's default
_BARE = re.compile(r"[a-z_][a-z0-9_]*")
ROLE = "lethe"


@dataclass(frozen=True)
class Place:
    """Evolution's schema, the role that runs its migrations, and whether Lethe's own database is on that server too."""

    schema: str = "public"
    owner: str = "evolution"
    with_own_database: bool = True


def sql(place: Place, password: str) -> str:
    """All statements, for a superuser in Evolution's database. The password may be a verifier."""
    schema, owner = _identifier(place.schema), _identifier(place.owner)
    rights = "SELECT, INSERT, UPDATE, DELETE"
    own = f"CREATE DATABASE lethe OWNER {ROLE};\n" if place.with_own_database else ""
    return f"""\
CREATE ROLE {ROLE} LOGIN PASSWORD '{password}';
{own}-- in Evolution's database; UPDATE and INSERT are for the fence and the reservation of a name
GRANT USAGE ON SCHEMA {schema} TO {ROLE};
GRANT {rights} ON ALL TABLES IN SCHEMA {schema} TO {ROLE};
-- and for tables that an upgrade of Evolution adds; `{place.owner}` is the role that runs its migrations
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT {rights} ON TABLES TO {ROLE};
-- PostgreSQL 15 or newer, as a superuser: many rows then go without foreign-key triggers, and write less to the log
GRANT SET ON PARAMETER session_replication_role, wal_compression TO {ROLE};
"""


def verifier(password: str) -> str:
    """What PostgreSQL stores of a password (SCRAM-SHA-256): a role can be made with it, and nobody can log in by it."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(each).decode() for each in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def _identifier(name: str) -> str:
    if _BARE.fullmatch(name):
        return name
    return '"' + name.replace('"', '""') + '"'
