"""What a step is handed: the instance, the services, and a ledger for what it did."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import UUID

from shared.deletions import claims, step_counts
from shared.deletions.claims import Claim
from shared.deletions.step_counts import StepRecord
from shared.errors import NotYet, Refused
from shared.evolution.gateway import Gateway
from shared.evolution.media.storage import Storage
from shared.evolution.queues.queues import Queues
from shared.evolution.rows import throttle
from shared.evolution.rows.eraser import RowEraser
from shared.evolution.rows.replicas import Brake
from shared.evolution.rows.schema import Owned
from shared.services import Services

Counts = dict[str, int]
Untried = list[str]  # sentences on what a rehearsal could not try
_WRITE_SECONDS = 0.25  # what a crash can lose of the counts, not of the work


class Progress(Enum):
    """What a run of a step says at its end."""

    DONE = "done"
    MORE = "more"  # the slice is over, the step is not


@dataclass(frozen=True)
class Target:
    """The instance to be erased, and where; all that a preview needs."""

    services: Services
    instance_id: str
    instance_name: str
    without_gateways: tuple[str, ...] = ()  # gone for good, given up by an admin
    thorough: bool = True  # count also what costs a pass over the whole cache

    @property
    def gateways(self) -> tuple[Gateway, ...]:
        """The gateways that are still counted on."""
        return tuple(gateway for gateway in self.services.gateways if gateway.url not in self.without_gateways)

    def living(self, column: str, values: Iterable[str]) -> set[str]:
        """Those of the ids or names that another instance bears now."""
        return self.services.tenant.living(column, values, besides=self.instance_id)

    def neighbours(self) -> list[str]:
        """The names of all other instances."""
        return self.services.tenant.neighbours(besides=self.instance_id)


@dataclass
class _Unwritten:
    """What the own database does not know yet, and since when."""

    changed: bool = False
    has_progress: bool = False
    planned: Mapping[str, int] | None = None
    since: float = field(default_factory=time.monotonic)
    shown_at: float = field(default_factory=time.monotonic)  # when this owner was last seen to hold the claim

    def forget(self) -> None:
        """It was written down, just now."""
        self.changed = self.has_progress = False
        self.planned = None
        self.since = self.shown_at = time.monotonic()


@dataclass(frozen=True)
class Context(Target):
    """The run of one step: everything it removes is written down as it goes."""

    claim: Claim = field(kw_only=True)
    slice_ends: float = field(kw_only=True)  # time.monotonic()
    stopping: Callable[[], bool] = field(kw_only=True)  # the worker is to stop, or others wait
    notes: dict[str, Any] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)  # what the step has removed, over all its runs
    _unwritten: _Unwritten = field(default_factory=_Unwritten)

    @property
    def deletion_id(self) -> UUID:
        """The deletion this step belongs to."""
        return self.claim.deletion_id

    def add_removed(self, counts: Mapping[str, int]) -> None:
        """Add to the step's counts, written down a few times a second; raises LostClaim."""
        self.totals.update(counts)
        self._unwritten.changed = True
        # Removing what was planned is progress. What comes back again and again, in confirm, is not.
        self._unwritten.has_progress |= bool(self.claim.planned or self._unwritten.planned) and any(counts.values())
        if time.monotonic() - self._unwritten.since >= _WRITE_SECONDS:
            self.save()

    def set_planned(self, counts: Mapping[str, int]) -> None:
        """Say what is to go, for a step whose preview was too dear; what an earlier run said holds."""
        if not self.claim.planned:
            self._unwritten.planned, self._unwritten.changed = counts, True

    def note(self, **facts: Any) -> None:
        """Keep facts that are no counts: outcomes, what stayed and why; written down with the counts."""
        self.notes.update(facts)
        self._unwritten.changed = True

    def note_and_save(self, **facts: Any) -> None:
        """Keep facts before what they announce is done: committed when this returns; raises LostClaim."""
        self.note(**facts)
        self.save()

    def save(self) -> None:
        """Commit counts and notes so far to the own database; raises LostClaim."""
        if self._unwritten.changed:
            step_counts.record(self.services.own, self.claim, self.entry())
            self._unwritten.forget()

    def entry(self) -> StepRecord:
        """How far the step is, for whoever writes it down."""
        removed = {what: number for what, number in self.totals.items() if number}
        return StepRecord(removed, self.notes, self._unwritten.has_progress, self._unwritten.planned)

    def page_of(self, table: str) -> int:
        """The first page of a table that this step has not walked."""
        return int(self.notes.get("pages", {}).get(table, 0))

    def keep_page(self, table: str, page: int) -> None:
        """Go on there in the next slice."""
        self.note(pages={**self.notes.get("pages", {}), table: page})

    def erase_rows(self, tables: Sequence[Owned], planned: Mapping[str, int] | None = None) -> bool:
        """Erase the instance's rows of these tables, in this order; False when the slice was over first."""
        if not tables:
            return True
        eraser = RowEraser(
            tenant=self.services.tenant,
            instance_id=self.instance_id,
            throttle=throttle.Watch(self.services.own, self.services.settings),
            report=self.add_removed,
            stop=self.slice_is_over,
            pages=self,
            brake=Brake(self.services.replicas, self.services.settings.replica_lag_seconds),
        )
        return eraser.erase(tables, planned)

    def storages(self) -> tuple[Storage, ...]:
        """The places for media; raises NotYet when one is not there: an empty mount point would count as gone."""
        for storage in self.services.storages:
            try:
                storage.probe()
            except Refused as error:
                raise NotYet(error.title) from error
        return self.services.storages

    def queues(self) -> tuple[Queues, ...]:
        """The brokers with queues of instances; raises NotYet when one refuses us, which may be mended."""
        for queues in self.services.queues:
            try:
                queues.probe()
            except Refused as error:
                raise NotYet(error.title) from error
        return self.services.queues

    def ensure_claim_held(self) -> None:
        """Raise LostClaim when another worker has taken over; before anything that can't be undone."""
        # Nobody takes over from an owner that was heard of so shortly before.
        if time.monotonic() - self._unwritten.shown_at > self.services.settings.stale_seconds / 30:
            claims.send_heartbeat(self.services.own, self.claim)
            self._unwritten.shown_at = time.monotonic()

    def slice_is_over(self) -> bool:
        """Whether to stop at the next good place, so that others get their turn."""
        return time.monotonic() >= self.slice_ends or self.stopping()
