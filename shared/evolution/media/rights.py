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
    ends, waiting = time.monotonic() + _LOOK_SECONDS, [str(path)]
    while waiting and time.monotonic() <= ends:
        folder = waiting.pop()
        # The first one is moved, and the others are as well: that writes into the folder itself.
        if not os.access(folder, _ALL, effective_ids=True):
            raise _refusal(root, Path(folder))
        here = os.stat(folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                if here.st_mode & stat.S_ISVTX and _is_kept_by_sticky_bit(here, entry.stat(follow_symlinks=False)):
                    raise _refusal(root, Path(folder), of=entry.name)
                if entry.is_dir(follow_symlinks=False) and len(os.fsencode(entry.path)) < folders.LONGEST_PATH_BYTES:
                    waiting.append(entry.path)


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
