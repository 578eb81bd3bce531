"""Whether Lethe's user may move a folder away and remove all that is in it, as far as a second of looking shows."""

import os
import stat
import time
from pathlib import Path

from shared.errors import RequirementNotMet
from shared.evolution.media import folders

_LOOK_SECONDS = 1
_ALL = os.R_OK | os.W_OK | os.X_OK
SECTION = "files"  # of docs/requirements.md
_TAIL = 80  # characters of a path


def check(root: Path, path: Path) -> None:
    """Raise RequirementNotMet, naming the first folder out of which something could not be removed."""
    parent = path.parent
    if not folders.may_write(parent) or _is_kept_by_sticky_bit(os.stat(parent), os.lstat(path)):
        raise _refusal(root, parent)
    if path.is_symlink() or not path.is_dir():
        return
    ends = time.monotonic() + _LOOK_SECONDS
    # It is moved as well: that writes into the folder itself.
    if not os.access(path, _ALL, effective_ids=True):
        raise _refusal(root, path)
    for folder, inner, files, handle in os.fwalk(path, onerror=folders.raise_error, follow_symlinks=False):
        here = os.fstat(handle)
        for name in inner:
            if not _is_link(name, handle) and not os.access(name, _ALL, dir_fd=handle, effective_ids=True):
                raise _refusal(root, Path(folder, name))
        if here.st_mode & stat.S_ISVTX:
            for name in (*inner, *files):
                if _is_kept_by_sticky_bit(here, os.stat(name, dir_fd=handle, follow_symlinks=False)):
                    raise _refusal(root, Path(folder), of=name)
        if time.monotonic() > ends:
            return


def _is_link(name: str, handle: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode)


def _is_kept_by_sticky_bit(folder: os.stat_result, entry: os.stat_result) -> bool:
    """Whether only its owner, or the folder's, may remove it."""
    me = os.geteuid()
    return bool(folder.st_mode & stat.S_ISVTX) and me not in (0, folder.st_uid, entry.st_uid)


def _refusal(root: Path, folder: Path, *, of: str = "") -> RequirementNotMet:
    facts = os.stat(folder)
    where = str(folder.relative_to(root))
    where = where if len(where) <= _TAIL else f"...{where[-_TAIL:]}"
    mode = stat.filemode(facts.st_mode)
    what = "of another owner's files" if of else ""
    problem = (
        f"the folder {where} in the files root ({mode}, owner {facts.st_uid}) cannot be emptied {what}".rstrip()
        + f" by Lethe's user {os.geteuid()}"
    )
    return RequirementNotMet(problem, "run the workers as the owner, or let this user write there", SECTION)
