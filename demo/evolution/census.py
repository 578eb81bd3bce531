"""What is in a deployment: counts of one instance, and a digest of every single thing."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import redis
from psycopg import sql

from demo.evolution import cache, files, objects
from demo.evolution.database import Table, count_owned, tables
from demo.evolution.deployment import Deployment, living

SCAN_COUNT = 1000
KEPT_SECONDS = 86_400


def census(deployment: Deployment, instance_id: str, name: str) -> dict[str, dict[str, int]]:
    """How much of one instance each store holds: rows by table, keys by kind, files and objects by place."""
    with deployment.connect() as connection, deployment.cache() as client:
        found = {
            "rows": {
                table.name: count_owned(connection, table, instance_id) for table in tables(connection) if table.owner
            },
            "keys": {
                kind: int(client.exists(*keys)) if keys else 0
                for kind, keys in cache.owned_keys(deployment, connection, instance_id, name).items()
            },
        }
        fields = (client.hexists(sync_hash, name) for sync_hash in cache.sync_hashes(deployment))
        found["keys"]["syncLostMessages"] = sum(map(int, fields))
        by_folder = {"instances": 0, "chatwoot": 0}
        for entry in _files_of(deployment, connection, instance_id, name):
            by_folder["instances" if entry.startswith("instances/") else "chatwoot"] += 1
    found["files"] = by_folder
    by_id = objects.prefix_by_id(instance_id)
    keys = [key for key, _ in _objects_of(deployment, instance_id, name)]
    media = sum(key.startswith(by_id) for key in keys)
    found["objects"] = {"media": media, "messages": len(keys) - media}
    return found


def fingerprint(deployment: Deployment) -> dict[str, str]:
    """A digest of every row:<table>:<key>, key:<key>, field:[key, field], file:<path> and object:<key>."""
    with deployment.connect() as connection:
        found = {entry: digest for table in tables(connection) for entry, digest in _rows(connection, table)}
    with deployment.cache() as client:
        found.update(_keys(client))
    found.update((f"file:{entry}", _file_digest(deployment.files_root / entry)) for entry in _all_files(deployment))
    if deployment.s3:
        found.update((f"object:{key}", etag) for key, etag in objects.entries(deployment.s3))
    return found


def fingerprint_of(deployment: Deployment, instance_id: str, name: str) -> dict[str, str]:
    """The part of the fingerprint that is this instance's alone; call it while its rows are there."""
    with deployment.connect() as connection, deployment.cache() as client:
        owned = (table for table in tables(connection) if table.owner)
        found = {entry: digest for table in owned for entry, digest in _rows(connection, table, instance_id)}
        for keys in cache.owned_keys(deployment, connection, instance_id, name).values():
            for key in keys:
                found.update(_key(client, key))
        for sync_hash in cache.sync_hashes(deployment):
            if (value := client.hget(sync_hash, name)) is not None:
                found[_field(sync_hash, name)] = _digest(value)
        for entry in _files_of(deployment, connection, instance_id, name):
            found[f"file:{entry}"] = _file_digest(deployment.files_root / entry)
    found.update((f"object:{key}", etag) for key, etag in _objects_of(deployment, instance_id, name))
    return found


def _rows(connection: psycopg.Connection, table: Table, owner_id: str | None = None) -> Iterator[tuple[str, str]]:
    """Entry and digest of the rows; jsonb's text form is canonical: equal rows have equal digests."""
    digest = sql.SQL("md5(to_jsonb(it)::text)")
    columns = [sql.SQL("it.{}::text").format(sql.Identifier(column)) for column in table.key]
    # Without a primary key, the whole row, and which of the equal ones it is.
    numbered = sql.SQL("to_jsonb(it)::text || '#' || row_number() OVER (PARTITION BY to_jsonb(it))")
    key = sql.SQL(" || ',' || ").join(columns or [numbered.format()])
    query = sql.SQL("SELECT {}, {} FROM {} AS it").format(key, digest, sql.Identifier(table.name))
    if owner_id is not None and table.owner:
        query += sql.SQL(" WHERE {} = {}").format(sql.Identifier(table.owner), sql.Literal(owner_id))
    for found_key, found_digest in connection.execute(query):
        yield f"row:{table.name}:{found_key}", found_digest


def _keys(client: "redis.Redis") -> Iterator[tuple[str, str]]:
    for key in client.scan_iter(count=SCAN_COUNT):
        if client.ttl(key) >= 0:  # or a later look would miss what the clock alone has removed
            client.expire(key, KEPT_SECONDS)
        yield from _key(client, key)


def _key(client: "redis.Redis", key: bytes | str) -> Iterator[tuple[str, str]]:
    """One entry for a key, one per field for a hash; how long it still lives does not count."""
    kind = _text(client.type(key))
    if kind == "hash":
        yield from ((_field(_text(key), _text(field)), _digest(value)) for field, value in client.hgetall(key).items())
    elif kind == "string":
        yield f"key:{_text(key)}", _digest(kind, client.get(key) or "")
    elif kind == "list":
        yield f"key:{_text(key)}", _digest(kind, *client.lrange(key, 0, -1))
    elif kind == "set":
        yield f"key:{_text(key)}", _digest(kind, *sorted(map(_text, client.smembers(key))))
    elif kind == "zset":
        yield f"key:{_text(key)}", _digest(kind, *map(repr, client.zrange(key, 0, -1, withscores=True)))
    elif kind != "none":
        yield f"key:{_text(key)}", kind


def _text(value: bytes | str) -> str:
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


def _field(key: str, field: str) -> str:
    return "field:" + json.dumps([key, field], ensure_ascii=False)


def _all_files(deployment: Deployment) -> Iterator[str]:
    return files.entries(deployment.files_root)


def _files_of(deployment: Deployment, connection: psycopg.Connection, instance_id: str, name: str) -> Iterator[str]:
    """What lies in the instance's folders, without folders in them that belong to another living instance."""
    mine = {files.instance_folder(instance_id), files.chatwoot_folder(name)}
    others = {files.chatwoot_folder(its) for other, its in living(connection).items() if other != instance_id}
    folders = {folder for folder in mine | others if folder}
    for entry in _all_files(deployment):
        owner = files.owner_folder(entry, folders)
        if owner and owner in mine and owner not in others:
            yield entry


def _objects_of(deployment: Deployment, instance_id: str, name: str) -> Iterator[tuple[str, str]]:
    if not deployment.s3:
        return
    yield from objects.entries(deployment.s3, objects.prefix_by_id(instance_id))
    event = objects.event_key(name)
    yield from ((key, etag) for key, etag in objects.entries(deployment.s3, event) if key == event)


def _file_digest(path: Path) -> str:
    if path.is_symlink():
        return f"symlink to {path.readlink()}"
    if path.is_dir():
        return "empty folder"
    return _digest(path.read_bytes())


def _digest(*parts: bytes | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else part.encode(errors="surrogateescape")
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()
