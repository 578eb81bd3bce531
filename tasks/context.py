"""What a step works with: the instance, the services, and the counts and notes that it saves."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

from shared.deletions import claims, step_counts
from shared.deletions.claims import Claim
from shared.deletions.step_counts import StepRecord
from shared.errors import NotYet
from shared.evolution.gateway import Gateway
from shared.evolution.media.storage import NotMounted, Storage
from shared.evolution.queues.queues import Queues
from shared.evolution.rows import throttle
from shared.evolution.rows.eraser import RowEraser
from shared.evolution.rows.replicas import Brake
from shared.evolution.rows.schema import Owned
from shared.evolution.rows.tenant import WebhookRow
from shared.services import Services

Counts = dict[str, int]
Store = TypeVar("Store", Storage, Queues)
_SAVE_SECONDS = 0.25  # a crash loses the counts of so much time, never the work


class Progress(Enum):
    """Whether a step is finished at the end of a run."""

    DONE = "done"
    MORE = "more"  # the slice is over, the step is not


@dataclass(frozen=True)
class Target:
    """The instance to erase, and the services that hold its data: what a preview needs."""

    services: Services
    instance_id: str
    instance_name: str
    without_gateways: tuple[str, ...] = ()  # gone for good: an admin has given them up
    thorough: bool = True  # count also what needs a scan of the whole cache
    exports: bool = False  # the deletion was ordered with an export

    @property
    def needs_export(self) -> bool:
        """Whether an archive is written first."""
        return self.exports or self.services.settings.export == "required"

    @property
    def gateways(self) -> tuple[Gateway, ...]:
        """The gateways that are not given up."""
        return tuple(gateway for gateway in self.services.gateways if gateway.url not in self.without_gateways)

    def had_by_others(self, column: str, values: Iterable[str]) -> set[str]:
        """Those of the ids (or names) that another instance has now."""
        return self.services.tenant.had_by_others(column, values, besides=self.instance_id)

    def other_names(self) -> list[str]:
        """The names of all other instances."""
        return self.services.tenant.other_names(besides=self.instance_id)

    def webhook(self, *, even_if_off: bool = False) -> WebhookRow | None:
        """The instance's own webhook, if it is enabled, or was before Lethe switched it off."""
        return self.services.tenant.webhook(self.instance_id, even_if_off=even_if_off)


@dataclass(frozen=True)
class Survey(Target):
    """A target that is looked at once: what its rehearsal has read, the preview right after it does not read again."""

    _other_names: list[list[str]] = field(default_factory=list)  # empty until asked
    _webhook: list[WebhookRow | None] = field(default_factory=list)

    def other_names(self) -> list[str]:
        """The names of all other instances."""
        if not self._other_names:
            self._other_names.append(super().other_names())
        return self._other_names[0]

    def webhook(self, *, even_if_off: bool = False) -> WebhookRow | None:
        """The instance's own webhook, if it is enabled."""
        if even_if_off:
            return super().webhook(even_if_off=True)
        if not self._webhook:
            self._webhook.append(super().webhook())
        return self._webhook[0]


@dataclass
class _Stop:
    """Whether to stop; having said so once, it stays with it."""

    asks: Callable[[], bool]
    said: bool = False

    def __call__(self) -> bool:
        self.said = self.said or self.asks()
        return self.said


@dataclass
class _Unsaved:
    """What changed since the last save to the own database."""

    changed: bool = False
    has_progress: bool = False  # something planned was removed: the step is not stuck
    planned: Mapping[str, int] | None = None
    saved_at: float = field(default_factory=time.monotonic)
    claim_seen_at: float = field(default_factory=time.monotonic)  # when the own database last confirmed the claim


@dataclass(frozen=True)
class Context(Target):
    """One run of one step: saves counts and notes while the step works."""

    claim: Claim = field(kw_only=True)
    slice_ends: float = field(kw_only=True)  # time.monotonic()
    stopping: Callable[[], bool] = field(kw_only=True)  # the worker is told to stop, or other deletions wait
    notes: dict[str, Any] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)  # what the step has removed, over all its runs
    _unsaved: _Unsaved = field(default_factory=_Unsaved)

    @property
    def deletion_id(self) -> UUID:
        """The deletion this step belongs to."""
        return self.claim.deletion_id

    def add_removed(self, counts: Mapping[str, int]) -> None:
        """Add to the step's counts, saved a few times a second; raises LostClaim."""
        self.totals.update(counts)
        self._unsaved.changed = True
        # Removing what was planned is progress. What returns again and again, in confirm, is not.
        self._unsaved.has_progress |= bool(self.claim.planned or self._unsaved.planned) and any(counts.values())
        if time.monotonic() - self._unsaved.saved_at >= _SAVE_SECONDS:
            self.save()

    def add_progress(self) -> None:
        """Tell that the step is not stuck, where no count shows it; saved like counts."""
        self._unsaved.changed = self._unsaved.has_progress = True
        if time.monotonic() - self._unsaved.saved_at >= _SAVE_SECONDS:
            self.save()

    def set_planned(self, counts: Mapping[str, int]) -> None:
        """Set the planned counts, for a step whose preview was too expensive; those of an earlier run stay."""
        if not self.claim.planned:
            self._unsaved.planned, self._unsaved.changed = counts, True

    def note(self, **facts: Any) -> None:
        """Store facts other than counts, such as outcomes or items kept; written at the next save."""
        self.notes.update(facts)
        self._unsaved.changed = True

    def note_and_save(self, **facts: Any) -> None:
        """Store a note and commit it, before an irreversible action; raises LostClaim."""
        self.note(**facts)
        self.save()

    def save(self) -> None:
        """Commit counts and notes to the own database; raises LostClaim."""
        if self._unsaved.changed:
            step_counts.record(self.services.own, self.claim, self.entry())
            now, unsaved = time.monotonic(), self._unsaved
            unsaved.changed, unsaved.has_progress, unsaved.planned = False, False, None
            unsaved.saved_at = unsaved.claim_seen_at = now

    def entry(self) -> StepRecord:
        """The counts and notes to save."""
        removed = {what: number for what, number in self.totals.items() if number}
        return StepRecord(removed, self.notes, self._unsaved.has_progress, self._unsaved.planned)

    def _note_triggers(self, tables: dict[str, str | None]) -> None:
        """Note which tables' many rows go without triggers, and why the others keep them; for the receipt."""
        noted = self.notes.get("triggers", {})
        if noted != (now := {**noted, **tables}):
            self.note_and_save(triggers=now)

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
            brake=Brake(self.services.replicas, self.services.settings.replica_lag_seconds),
            always_triggers=self.services.settings.row_triggers == "always",
            note_triggers=self._note_triggers,
        )
        return eraser.erase(tables, planned)

    def erase_media(self) -> bool:
        """Erase the instance's files and objects, by its id; False when the slice was over first."""
        for storage in probe_all(self.services.storages):
            stop = _Stop(self.slice_is_over)
            for count in storage.erase(self.instance_id, self.deletion_id, stop):
                self.add_removed({storage.kind: count})
            if stop.said:
                return False
        return True

    def ensure_claim_held(self) -> None:
        """Renew the claim unless the database confirmed it recently; raises LostClaim when the worker no longer has it.

        Call it before every action that cannot be undone.
        """
        # No worker takes over a claim that the own database confirmed so short a time ago.
        if time.monotonic() - self._unsaved.claim_seen_at > self.services.settings.stale_seconds / 30:
            claims.send_heartbeat(self.services.own, self.claim)
            self._unsaved.claim_seen_at = time.monotonic()

    def slice_is_over(self) -> bool:
        """Whether the slice's time is up, the worker stops, or other deletions wait."""
        return time.monotonic() >= self.slice_ends or self.stopping()


def probe_all(stores: tuple[Store, ...]) -> tuple[Store, ...]:
    """Probe every store, and return them: an unmounted folder must not count as erased, and is waited for."""
    for store in stores:
        try:
            store.probe()
        except NotMounted as error:
            raise NotYet(error.title) from error
    return stores
