"""What a step is handed: the instance, the services, and a ledger for what it did."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import UUID

from shared import deletions, ledger
from shared.deletions import Claim
from shared.errors import NotYet, Refused
from shared.gateway import Gateway
from shared.row_eraser import RowEraser
from shared.services import Services
from shared.storage import Storage
from shared.tenant_schema import Owned

Counts = dict[str, int]
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


@dataclass(frozen=True)
class Context(Target):
    """The run of one step: everything it removes is written down as it goes."""

    claim: Claim = field(kw_only=True)
    slice_ends: float = field(kw_only=True)  # time.monotonic()
    stopping: Callable[[], bool] = field(kw_only=True)  # the worker is to stop, or others wait
    notes: dict[str, Any] = field(default_factory=dict)
    _unwritten: Counter[str] = field(default_factory=Counter)
    _written_at: list[float] = field(default_factory=lambda: [time.monotonic()])

    @property
    def deletion_id(self) -> UUID:
        """The deletion this step belongs to."""
        return self.claim.deletion_id

    def removed(self, counts: Mapping[str, int]) -> None:
        """Add to the step's counts, written down a few times a second; raises LostClaim."""
        self._unwritten.update(counts)
        if time.monotonic() - self._written_at[0] >= _WRITE_SECONDS:
            self.write_down()

    def write_down(self, facts: Mapping[str, Any] | None = None) -> None:
        """Commit the counts so far, and facts, to the own database; raises LostClaim."""
        counts = {what: number for what, number in self._unwritten.items() if number}
        if counts or facts:
            ledger.record(self.services.own, self.claim, counts, facts or {})
        self._unwritten.clear()
        self._written_at[0] = time.monotonic()

    def note(self, **facts: Any) -> None:
        """Keep facts that are no counts: outcomes, what stayed and why; raises LostClaim."""
        self.notes.update(facts)
        self.write_down(facts)

    def page_of(self, table: str) -> int:
        """The first page of a table that this step has not walked."""
        return int(self.notes.get("pages", {}).get(table, 0))

    def keep_page(self, table: str, page: int) -> None:
        """Go on there in the next slice."""
        self.note(pages={**self.notes.get("pages", {}), table: page})

    def erase_rows(self, tables: Iterable[Owned]) -> bool:
        """Erase the instance's rows of these tables, in this order; False when the slice was over first."""
        eraser = RowEraser(
            tenant=self.services.tenant,
            instance_id=self.instance_id,
            batch_seconds=self.services.settings.batch_seconds,
            report=self.removed,
            stop=self.slice_is_over,
            pages=self,
        )
        return all(eraser.erase(table) for table in tables)

    def storages(self) -> tuple[Storage, ...]:
        """The places for media; raises NotYet when one is not there: an empty mount point would count as gone."""
        for storage in self.services.storages:
            try:
                storage.probe()
            except Refused as error:
                raise NotYet(error.title) from error
        return self.services.storages

    def still_ours(self) -> None:
        """Raise LostClaim when another worker has taken over; before anything that can't be undone."""
        deletions.beat(self.services.own, self.claim)

    def slice_is_over(self) -> bool:
        """Whether to stop at the next good place, so that others get their turn."""
        return time.monotonic() >= self.slice_ends or self.stopping()
