"""The cache keys of one instance, written the way the server writes them: names stay literal."""

import json
import secrets
import string
from collections.abc import Iterable
from datetime import UTC, datetime

import psycopg

from demo.evolution.deployment import Deployment, living

# Class names of the Chatwoot cache, before and after minifying.
MODULES = ("ChatwootService", "ut")
JIDS = ("5511900000001@s.whatsapp.net", "5511900000002@s.whatsapp.net")
MESSAGE_IDS = ("3EB00000000000000001", "3EB00000000000000002")
SYNC_FIELDS = "chatwoot:syncLostMessages"
MESSAGE_SECONDS, STATUS_SECONDS = 300, 1800


def key_by_id(deployment: Deployment, instance_id: str) -> str:
    """The hash of session keys."""
    return f"{deployment.cache_prefix}:instance:{instance_id}"


def message_keys(deployment: Deployment, instance_id: str) -> dict[str, int]:
    """The keys of messages seen lately, by id, and the seconds that they live: received ones, and their statuses."""
    head = f"{deployment.cache_prefix}:baileys:{instance_id}_"
    received = {f"{head}{message}": MESSAGE_SECONDS for message in MESSAGE_IDS}
    return received | {f"{head}{message}_READ": STATUS_SECONDS for message in MESSAGE_IDS}


def legacy_key(deployment: Deployment, name: str) -> str:
    """The key that older versions wrote, by name."""
    return f"{deployment.cache_prefix}:instance:{name}"


def chatwoot_keys(deployment: Deployment, name: str) -> list[str]:
    """The Chatwoot cache, by name."""
    calls = ["getProvider", "getInbox"]
    calls += [f"{prefix}createConversation-{jid}" for jid in JIDS for prefix in ("", "lock:")]
    return [f"{deployment.cache_prefix}:{module}:{name}:{call}" for module in MODULES for call in calls]


def sync_hashes(deployment: Deployment) -> list[str]:
    """The hashes that have one field per instance name; a server knows one of them."""
    return [f"{deployment.cache_prefix}:{module}{SYNC_FIELDS}" for module in ("", *(f"{each}:" for each in MODULES))]


def cuid(moment: datetime) -> str:
    """An id of the kind that the server makes for the job whose id is kept in that hash; it begins with its time."""
    left, digits = int(moment.timestamp() * 1000), ""
    while left:
        left, digit = divmod(left, 36)
        digits = (string.digits + string.ascii_lowercase)[digit] + digits
    return f"c{digits}0000aaaa{secrets.token_hex(4)}"


def owned_keys(
    deployment: Deployment, connection: psycopg.Connection, instance_id: str, name: str
) -> dict[str, list[str]]:
    """The instance's keys by kind; one that another living instance explains too is nobody's."""
    others = {other: its_name for other, its_name in living(connection).items() if other != instance_id}
    shared = set(_by_name(deployment, others.values()))
    shared.update(key_by_id(deployment, other) for other in others)
    messages = tuple(f"{deployment.cache_prefix}:baileys:{other}_" for other in others)
    return {
        "instance": [key_by_id(deployment, instance_id)],
        "baileys": [key for key in message_keys(deployment, instance_id) if not key.startswith(messages)],
        "legacy": [key for key in [legacy_key(deployment, name)] if key not in shared],
        "chatwoot": [key for key in chatwoot_keys(deployment, name) if key not in shared],
    }


def fill(deployment: Deployment, instance_id: str, name: str) -> None:
    """Write every key of one instance."""
    by_id = key_by_id(deployment, instance_id)
    with deployment.cache() as cache:
        if cache.type(by_id) == b"string":
            # The legacy key of an instance whose name is our id: the server would overwrite it too.
            cache.delete(by_id)
        cache.hset(
            by_id,
            mapping={"creds": '{"noiseKey":"secret"}', "pre-key-1": "{}", "app-state-sync-version": "{}"},
        )
        # Not over the hash of an instance whose id is our name.
        cache.set(legacy_key(deployment, name), "{}", nx=True)
        for sync_hash in sync_hashes(deployment):
            cache.hset(sync_hash, name, json.dumps(cuid(datetime.now(UTC))))
        for key in chatwoot_keys(deployment, name):
            cache.set(key, "{}")
        for key, seconds in message_keys(deployment, instance_id).items():
            cache.set(key, "true", ex=seconds)


def fill_global(deployment: Deployment) -> None:
    """Write the keys that belong to no instance."""
    prefix = deployment.cache_prefix
    with deployment.cache() as cache:
        cache.set(f"{prefix}:baileys:5511900000001@s.whatsapp.net_3EB00000000000000001", "true")
        cache.set(f"{prefix}:baileys:protocol_3EB00000000000000001", "true")
        cache.set(f"{prefix}:groups:120363000000000001@g.us", "{}")


def _by_name(deployment: Deployment, names: Iterable[str]) -> list[str]:
    return [key for name in names for key in (legacy_key(deployment, name), *chatwoot_keys(deployment, name))]
