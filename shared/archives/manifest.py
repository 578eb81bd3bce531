"""The manifest of an archive: what it holds, with the SHA-256 of each part; and how an archive is verified."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import rfc8785

from shared.archives import parts
from shared.archives.journal import Facts, State
from shared.archives.parts import Part
from shared.archives.streams import Progress
from shared.errors import LetheError

KIND = "lethe.export.v1"
NAME = "manifest.json"
_FIRST, _LATER, _BY_NAME = "first", "later", "-by-name"


class NotWhole(LetheError):
    """The archive is not what its manifest says."""


def compose(
    facts: Facts, name: str, state: State, listed: Sequence[Part], began_at: datetime, closed_at: datetime | None
) -> dict[str, Any]:
    """The content. `listed` of a table or store: what was there when the archive was closed, all of it in its parts."""
    first, later = state.streams.get(_FIRST, {}), state.streams.get(_LATER, {})
    tables, media = list[dict[str, Any]](), list[dict[str, Any]]()
    for stream in first | later:
        before = first.get(stream, Progress())
        after = later.get(stream, Progress(older=before.items))
        if stream.endswith(_BY_NAME):
            after = Progress(older=before.items)
        counts = {"first": before.items, "later": after.items, "listed": _listed(before, after)}
        kind, _, table = stream.partition("/")
        if kind != "rows":
            left = after.left_out if stream in later else before.left_out
            media.append({"store": stream, **counts, "leftOut": left})
        elif any(counts.values()):
            tables.append({"table": table, **counts, "leftOut": state.secrets.get(table, [])})
    return {
        "kind": KIND,
        "archive": name,
        "instanceId": facts.instance_id,
        "instanceName": facts.instance_name,
        "deletionId": str(facts.id) if facts.of_deletion else None,
        "beganAt": _moment(began_at),
        "closedAt": _moment(closed_at),
        "withSecrets": facts.with_secrets,
        "encryptedFor": facts.recipient,
        "tables": sorted(tables, key=lambda each: str(each["table"])),
        "media": media,
        "parts": [asdict(part) for part in listed],
    }


def _listed(before: Progress, after: Progress) -> int:
    # What seems old and was not in the first stage is not in the archive.
    return min(after.older, before.items) + after.items


def totals(content: dict[str, Any]) -> dict[str, int]:
    """What the manifest lists, by table and by store, without what is zero."""
    found: dict[str, int] = {each["table"]: each["listed"] for each in content["tables"]}
    for each in content["media"]:
        store = str(each["store"]).removesuffix(_BY_NAME)
        found[store] = found.get(store, 0) + each["listed"]
    return {what: number for what, number in found.items() if number}


def dump(content: dict[str, Any]) -> bytes:
    """As it is written: canonical JSON (RFC 8785)."""
    return rfc8785.dumps(content)


def verify(folder: Path) -> tuple[str, dict[str, Any]]:
    """The SHA-256 and the content of the manifest of an archive that is whole; raises NotWhole. Needs no settings."""
    try:
        document = (folder / NAME).read_bytes()
        content = json.loads(document)
        listed = {str(each["path"]): each for each in content["parts"]}
        is_known = content["kind"] == KIND and dump(content) == document
    except FileNotFoundError:
        raise NotWhole("there is no manifest.json: the archive was not closed, or this is no archive") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NotWhole(f"the manifest cannot be read: {type(error).__name__}") from error
    if not is_known:
        raise NotWhole("the manifest is not as Lethe wrote it")
    for path, part in listed.items():
        _check_part(folder, path, part)
    there = {found.relative_to(folder).as_posix() for found in folder.rglob("*") if not found.is_dir()}
    if more := sorted(there - set(listed) - {NAME}):
        raise NotWhole(f"files that the manifest does not list: {len(more)}, the first is {more[0]}")
    return sha256(document).hexdigest(), content


def _check_part(folder: Path, path: str, part: dict[str, Any]) -> None:
    file = folder / path
    if not file.resolve().is_relative_to(folder.resolve()) or file.is_symlink():
        raise NotWhole(f"{path} leads out of the archive")
    try:
        with file.open("rb") as opened:
            found = parts.digest_of(iter(lambda: opened.read(1 << 20), b""))
    except OSError as error:
        raise NotWhole(f"{path} cannot be read: {error.strerror}") from error
    if found != (part.get("bytes"), part.get("sha256")):
        raise NotWhole(f"{path} is not what was written")


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds") if moment else None
