"""The folders of one instance on the server's disk, where path.join puts them."""

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path

from demo.evolution.deployment import Deployment

INSTANCE_FILES = (
    "creds.json",
    "pre-key-1.json",
    "app-state-sync-version-regular.json",
    "media/thumbnail.jpg",
)
CHATWOOT_FILES = ("conversation.json", "5511900000001@s.whatsapp.net/picture.jpg")
NAME_BYTES = 255
PATH_BYTES = 3500
# They belong to the deployment, empty or not.
SKELETON = ("instances", "store", "store/chatwoot")


def instance_folder(instance_id: str) -> str:
    """The folder by id, relative to the root."""
    return f"instances/{instance_id}"


def chatwoot_folder(name: str) -> str | None:
    """The folder by name, relative to the root; None when the name leads elsewhere or is too long."""
    folder = posixpath.normpath(f"store/chatwoot/{name}")
    parts = folder.split("/")
    if parts[:2] != ["store", "chatwoot"] or len(parts) < 3 or "\0" in name:
        return None
    sizes = [len(part.encode()) for part in parts]
    return folder if max(sizes) <= NAME_BYTES and sum(sizes) + len(sizes) <= PATH_BYTES else None


def fill(deployment: Deployment, instance_id: str, name: str) -> None:
    """Write the files of one instance."""
    for file in INSTANCE_FILES:
        _write(deployment.files_root / instance_folder(instance_id) / file, instance_id)
    if folder := chatwoot_folder(name):
        for file in CHATWOOT_FILES:
            _write(deployment.files_root / folder / file, instance_id)


def entries(root: Path) -> Iterator[str]:
    """Every file, symlink and empty folder (with a slash at its end) below the root, as relative paths."""
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        links = [name for name in folders if (root / here / name).is_symlink()]
        for name in (*files, *links):
            yield (here / name).as_posix()
        if not folders and not files and here.as_posix() not in (".", *SKELETON):
            yield here.as_posix() + "/"


def owner_folder(entry: str, folders: set[str]) -> str | None:
    """The deepest of these folders that holds the entry."""
    parts = entry.rstrip("/").split("/")
    for length in range(len(parts), 0, -1):
        if (folder := "/".join(parts[:length])) in folders:
            return folder
    return None


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{path.name} of {content}\n")
