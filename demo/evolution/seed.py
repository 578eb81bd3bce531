"""Fills a deployment with instances that have data in every place where the server keeps some."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg.types.json import Jsonb

from demo.evolution import cache, files, objects
from demo.evolution.deployment import Deployment, SeededInstance

ROWS = Path(__file__).with_name("seed_instance.sql")
CLIENT_NAME = "evolution_exchange"
# From here on the planner needs statistics that autovacuum would bring too late.
MANY_MESSAGES = 10_000


def seed_instance(
    deployment: Deployment,
    name: str,
    *,
    instance_id: str | None = None,
    token: str | None = None,
    messages: int = 20,
    updates_per_message: int = 2,
    chats: int = 8,
    contacts: int = 10,
    media: int = 5,
    sessions: int = 3,
    webhook_url: str | None = None,
    webhook_headers: Mapping[str, str] | None = None,
    webhook_events: Sequence[str] = ("INSTANCE_DELETE",),
    webhook_by_events: bool = False,
    status: str = "open",
    client_name: str = CLIENT_NAME,
    unique_tag: str | None = None,
    in_place: bool = False,
) -> SeededInstance:
    """Put one instance into every store; unique_tag, by default its id, keeps global uniques apart.

    With in_place, the row that has the name is replaced, and the name is never free meanwhile.
    """
    seeded = SeededInstance(instance_id or str(uuid.uuid4()), name, token or str(uuid.uuid4()).upper())
    tag = unique_tag or seeded.id
    values = {
        "id": seeded.id,
        "name": name,
        "token": seeded.token,
        "tag": tag,
        "stem": "c" + hashlib.sha256(tag.encode()).hexdigest()[:16],
        "status": status,
        "client_name": client_name,
        "messages": messages,
        "updates_per_message": updates_per_message,
        "chats": chats,
        "contacts": contacts,
        "media": media,
        "sessions": sessions,
        "webhook_url": webhook_url or "",
        "webhook_headers": None if webhook_headers is None else Jsonb(dict(webhook_headers)),
        "webhook_events": Jsonb(list(webhook_events)),
        "webhook_by_events": webhook_by_events,
    }
    with deployment.connect() as connection:
        if in_place:
            connection.execute('DELETE FROM "Instance" WHERE name = %s', (name,))
        # A client-side cursor: it alone sends many statements with values at once.
        psycopg.ClientCursor(connection).execute(ROWS.read_bytes(), values)
        if messages >= MANY_MESSAGES:
            connection.execute('ANALYZE "Message", "MessageUpdate", "Media", "IntegrationSession"')
        owned = connection.execute('SELECT "fileName" FROM "Media" WHERE "instanceId" = %s', (seeded.id,))
        media_files = [str(found[0]) for found in owned]
    cache.fill(deployment, seeded.id, name)
    files.fill(deployment, seeded.id, name)
    objects.fill(deployment, seeded.id, name, media_files)
    return seeded


def seed_global(deployment: Deployment) -> None:
    """Put what belongs to no instance into the database and the cache."""
    with deployment.connect() as connection:
        connection.execute(GLOBAL_ROWS)
    cache.fill_global(deployment)


GLOBAL_ROWS = """
INSERT INTO "IsOnWhatsapp" (id, "remoteJid", "jidOptions", lid, "updatedAt")
SELECT 'number-' || n, '55119' || lpad(n::text, 8, '0') || '@s.whatsapp.net', n::text, 'lid', now()
FROM generate_series(1, 10) AS n;
INSERT INTO "_prisma_migrations" (id, checksum, migration_name, applied_steps_count)
VALUES ('00000000-0000-0000-0000-000000000001', 'checksum', '20240609181238_init', 1);
"""
