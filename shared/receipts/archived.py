"""What a receipt says of the export that a deletion wrote first: what its manifest lists, and what was erased."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row

_STORES = ("files", "objects")
_OF_ROWS = ("delete_records", "confirm")
_KEYS = {"keys"}  # of the cache, which is not exported


def compose(archive: Mapping[str, Any] | None, steps: Sequence[Row[Any]]) -> dict[str, Any] | None:
    """The hash of the closed manifest, and both counts; what was erased beyond the archive is a number of its own."""
    if archive is None:
        return None
    listed, left_out = archive["listed"], archive["leftOut"]
    erased = _erased(listed, steps)
    beyond = {what: number - listed.get(what, 0) - left_out.get(what, 0) for what, number in erased.items()}
    return {
        **archive,
        "erased": erased,
        "erasedBeyond": {what: number for what, number in beyond.items() if number > 0},
    }


def _erased(listed: Mapping[str, int], steps: Sequence[Row[Any]]) -> dict[str, int]:
    """Rows by table, files and objects, by all steps together."""
    of_rows = {what for step in steps if step.name in _OF_ROWS for what in step.removed}
    counted = (of_rows - _KEYS) | {*listed, *_STORES}
    erased = Counter[str]()
    for step in steps:
        erased.update({what: number for what, number in step.removed.items() if what in counted})
    return dict(erased)
