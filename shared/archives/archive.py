"""Writes an archive in two stages: first what is there, later what was written since; then its manifest."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from shared.archives import manifest, parts, tables
from shared.archives.destination import Destination
from shared.archives.journal import Journal, State
from shared.archives.media import Media
from shared.archives.parts import Part
from shared.archives.streams import Progress, Rows, Stream
from shared.errors import Refused, TookTooLong
from shared.evolution.media.storage import Storage
from shared.evolution.rows.counting import LARGE_PAGES
from shared.evolution.rows.schema import ROOT
from shared.evolution.rows.tenant import CHANNELS, Tenant
from shared.evolution.usage import OtherNames

FIRST, LATER = "first", "later"
BY_NAME = "-by-name"  # of the name of a stream


class ArchiveLost(Refused):
    """A closed part is not in the store of the export any more: bring it back, or begin the export anew."""


@dataclass(frozen=True)
class Source:
    """Where an instance's data is."""

    tenant: Tenant
    storages: Sequence[Storage]
    other_names: OtherNames


def never() -> bool:
    """The stop() of an archive that is written without a pause."""
    return False


@dataclass
class Archive:
    """One archive. report(stream, items) gets what each part added; stop() is asked between pages and parts."""

    source: Source
    destination: Destination
    journal: Journal
    report: Callable[[str, int], None] = lambda stream, items: None  # noqa: ARG005
    stop: Callable[[], bool] = never
    window_pages: int = LARGE_PAGES  # how many pages of a large table one statement reads
    _state: State | None = field(default=None, init=False)

    @property
    def folder(self) -> str:
        """Its name in the destination: one for each instance, and for each deletion."""
        facts = self.journal.facts
        name = quote(facts.instance_id, safe="").replace(".", "%2E")  # `..` is no name of a folder
        return f"{name}-{facts.id}" if facts.of_deletion or not name else name

    def write_first(self) -> bool:
        """Write what the instance has; False when stopped before the end."""
        self._open(may_begin=True)
        return self._write(FIRST)

    def write_later(self) -> bool:
        """Write what came or was changed since the first stage began; False when stopped before the end.

        Raises ArchiveLost where no first stage was written.
        """
        self._open()
        return self._write(LATER)

    def check(self) -> list[Part]:
        """All closed parts; raises ArchiveLost when one is not there, or has another size."""
        found, listed = self.destination.sizes(self.folder), self.journal.parts()
        for part in listed:
            if found.get(f"{self.folder}/{part.path}") != part.bytes:
                raise ArchiveLost
        return listed

    def close(self) -> tuple[str, dict[str, Any]]:
        """Write the manifest, once; returns its SHA-256 and its content. Nothing is added to the archive after it."""
        state, listed = self._open(), self.check()
        began_at, closed_at = self.journal.close()
        content = manifest.compose(self.journal.facts, self.folder, state, listed, began_at, closed_at)
        document = manifest.dump(content)
        expected = parts.digest_of([document])
        path = f"{self.folder}/{manifest.NAME}"
        if path not in self.destination.sizes(self.folder):
            parts.write(self.destination, path, [document], None)
        if parts.digest_of(self.destination.read(path)) != expected:
            raise Refused("the archive has another manifest already")
        return expected[1], content

    def _open(self, *, may_begin: bool = False) -> State:
        if self._state is None:
            # Listed before the journal is taken over: nothing of a process that takes it over later is in the list.
            there = self.destination.sizes(self.folder)
            state = self.journal.open()
            if state is None and not may_begin:
                raise ArchiveLost
            self._state = state or self._begin(there)
            self._remove_half_parts(there)
        return self._state

    def _begin(self, there: Mapping[str, int]) -> State:
        of_deletion = self.journal.facts.of_deletion
        if there and (f"{self.folder}/{manifest.NAME}" in there or not of_deletion):
            raise Refused(f"{self.folder} is there already, and was not begun by this export: move it away")
        clocks = {storage.kind: storage.clock() for storage in self.source.storages}
        state = State(tables.since(self.source.tenant), clocks)
        self.journal.begin(state)
        return state

    def _remove_half_parts(self, there: Iterable[str]) -> None:
        """Remove what a process that was killed has left: files that are no closed parts."""
        closed = {f"{self.folder}/{part.path}" for part in self.journal.parts()} | {f"{self.folder}/{manifest.NAME}"}
        for path in there:
            if path not in closed:
                self.destination.remove(path)

    def _write(self, stage: str) -> bool:
        for make in self._streams(stage):
            while not (stream := make()).progress.is_done:
                if self.stop():
                    self.journal.save(self._open())
                    return False
                try:
                    part = self._write_part(stage, stream)
                except TookTooLong:
                    if not stream.shrink():
                        raise
                else:
                    self._keep(stage, stream, part)
        self.journal.save(self._open())
        return True

    def _write_part(self, stage: str, stream: Stream) -> Part | None:
        """Write the next part of a stream; None where nothing is left."""
        before, chunks = stream.progress.items, stream.chunks()
        first = next(chunks, None)
        if first is None:
            return None
        recipient = self.journal.facts.recipient
        path = f"{_path(stream)}/{self.journal.next_number:06}-{uuid4().hex[:6]}.{stream.suffix}"
        path += ".age" if recipient else ""
        length, digest = parts.write(self.destination, f"{self.folder}/{path}", chain([first], chunks), recipient)
        return Part(path, stream.kind, stream.table, stage, stream.progress.items - before, length, digest)

    def _keep(self, stage: str, stream: Stream, part: Part | None) -> None:
        """Store how far the stream is; without a part, the next one stores it."""
        state = self._open()
        state.streams.setdefault(stage, {})[stream.name] = stream.progress
        if part:
            self.journal.save(state, part)
            self.report(stream.name, part.items)

    def _streams(self, stage: str) -> Iterator[Callable[[], Stream]]:
        """What makes each stream, as far as it is: children before parents, then files and objects."""
        plan, facts = self.source.tenant.plan(), self.journal.facts
        found = tables.read(self.source.tenant, plan.tables, with_secrets=facts.with_secrets)
        state = self._open()
        state.secrets |= {table.name: list(table.secrets) for table in found if table.secrets}
        yield from (self._rows(stage, table) for table in found)
        for storage in self.source.storages:
            yield self._media(stage, storage)
            if stage == FIRST:  # later, what belongs to the name is moved away or another instance's
                yield self._named_media(storage)

    def _progress(self, stage: str, name: str) -> Progress:
        """A copy: what a part changes counts when it is closed."""
        stored = self._open().streams.get(stage, {}).get(name, Progress())
        return Progress(dict(stored.at), stored.is_done, stored.items, stored.older, stored.left_out, {**stored.nodes})

    def _rows(self, stage: str, table: tables.Table) -> Callable[[], Rows]:
        window, facts = tables.Window(self.window_pages), self.journal.facts

        def make() -> Rows:
            name = f"rows/{table.name}"
            stream = Rows(
                self.source.tenant, table, facts.instance_id, self._progress(stage, name), self.stop, window=window
            )
            if stage == LATER:
                stream.first, stream.since = self._progress(FIRST, name), self._open().since
                stream.is_fenced = facts.of_deletion and table.name in (ROOT, *CHANNELS)
            return stream

        return make

    def _media(self, stage: str, storage: Storage) -> Callable[[], Media]:
        facts = self.journal.facts
        since = self._open().clocks.get(storage.kind) if stage == LATER else None
        return lambda: Media(
            storage.kind,
            storage.kind,
            lambda begin: storage.items(facts.instance_id, begin),
            self._progress(stage, storage.kind),
            self.stop,
            facts.with_secrets,
            since,
        )

    def _named_media(self, storage: Storage) -> Callable[[], Media]:
        facts, name = self.journal.facts, storage.kind + BY_NAME
        return lambda: Media(
            name,
            storage.kind,
            lambda begin: storage.named_items(facts.instance_name, self.source.other_names, begin),
            self._progress(FIRST, name),
            self.stop,
            facts.with_secrets,
        )


def _path(stream: Stream) -> str:
    """The folder of its parts."""
    return f"rows/{quote(stream.table, safe='')}" if stream.table else stream.name
