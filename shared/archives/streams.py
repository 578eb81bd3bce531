"""What an archive is made of: the rows of a table, or files and objects, as parts that can be continued."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.archives import tables
from shared.archives.tables import Heap, Later, Table, Window
from shared.evolution.rows.tenant import Tenant

_PART_BYTES = 16 << 20  # a part ends with the page that goes beyond it
_WHOLE: tuple[str, dict[str, object]] = ("true", {})


@dataclass
class Progress:
    """How far a stream is, after its last closed part."""

    at: dict[str, Any] = field(default_factory=dict)  # where the next part begins
    is_done: bool = False
    items: int = 0  # written
    older: int = 0  # in the second stage: those that are as they were in the first one
    left_out: int = 0  # session files
    nodes: dict[str, int] = field(default_factory=dict)  # of a table's heaps, see tables.Heap


class Stream(Protocol):
    """One stream of an archive in one stage."""

    progress: Progress

    @property
    def name(self) -> str:
        """Unique in the archive and its stage."""

    @property
    def kind(self) -> str:
        """Rows, files or objects."""

    @property
    def table(self) -> str | None:
        """Whose rows they are."""

    @property
    def suffix(self) -> str:
        """Of the names of its parts."""

    def chunks(self) -> Iterator[bytes]:
        """The next part; `progress` is then that after it. It has no bytes where nothing is left to write."""

    def shrink(self) -> bool:
        """A statement took too long: ask for less at once; False when that is not possible."""


@dataclass
class Rows:
    """The rows of one table: few of them with one statement, many in windows of pages."""

    tenant: Tenant
    source: Table
    instance_id: str
    progress: Progress
    stop: Callable[[], bool]
    first: Progress | None = None  # in the second stage: what the first one did
    since: int = 0
    is_fenced: bool = False  # Lethe itself has changed the instance's row since: it is not written once more
    window: Window = field(default_factory=Window)

    kind = "rows"
    suffix = "jsonl"

    @property
    def name(self) -> str:
        """Unique in the archive."""
        return f"rows/{self.source.name}"

    @property
    def table(self) -> str:
        """The table's name."""
        return self.source.name

    def chunks(self) -> Iterator[bytes]:
        """Rows up to the part's size, page by page."""
        written = 0
        while not self.progress.is_done:
            at = self.progress.at
            if at.get("heap", 0) >= len(self.source.heaps):
                self.progress.is_done = True
                return
            heap = self.source.heaps[at.get("heap", 0)]
            for number, chunk in self._read(heap):
                self.progress.items += number
                written += len(chunk)
                yield chunk
            if written >= _PART_BYTES or self.stop():
                return

    def _read(self, heap: Heap) -> Iterator[tuple[int, bytes]]:
        """One page of a heap; moves on behind it."""
        progress, name = self.progress, f"{heap.schema}.{heap.name}"
        page = progress.at.get("page", 0) if progress.nodes.get(name, heap.node) == heap.node else 0
        progress.nodes[name] = heap.node
        few = page == 0 and not self.window.is_small and tables.is_few(self.tenant, self.source, heap, self.instance_id)
        after = page + self.window.pages
        late = self._late(heap, name)
        yield from tables.lines(
            self.tenant, self.source, heap, self.instance_id, _WHOLE if few else tables.pages(page, after), late
        )
        progress.older += late.older if late else 0
        position = progress.at.get("heap", 0)
        is_over = few or after >= heap.pages
        progress.at = {"heap": position + 1, "page": 0} if is_over else {"heap": position, "page": after}

    def _late(self, heap: Heap, name: str) -> Later | None:
        if self.first is None:
            return None
        is_kept = self.is_fenced and self.first.items
        if self.first.nodes.get(name) != heap.node and not is_kept:  # new, or written anew: no page is where it was
            return Later("true", {})
        return Later("false", {}) if is_kept else tables.later(self.since)

    def shrink(self) -> bool:
        """Read fewer pages at once."""
        return self.window.shrink()
