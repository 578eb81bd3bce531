"""Attests what the stores hold now of erased instances: looks, signs, stores; erases nothing."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from uuid import UUID

from sqlalchemy import Engine, select

from shared.audit.entries import Action, Actor, Decision, Entry
from shared.database import timing
from shared.database.connections import own_statement
from shared.database.models import Deletion, DeletionStatus, Receipt
from shared.errors import LetheError
from shared.evidence import attestation
from shared.receipts import receipt
from shared.services import Services
from shared.translations.marks import N_
from tasks.leftovers import still_gone
from tasks.leftovers.still_gone import Erased, Seen

_AT_ONCE = 100  # that share a scan of the cache


class NoReceipt(LetheError):
    """There is no receipt: nothing proves that it was erased"""


@dataclass(frozen=True)
class Attested:
    """A signed statement, and what it says."""

    deletion_id: UUID
    document: str
    seen: Seen

    @property
    def summary(self) -> str:
        """What was found, in words."""
        if self.seen.exists:
            return N_("an instance or an unfinished deletion has the id again")
        if self.seen.is_gone:
            return N_("nothing found")
        places = ", ".join(each.where for each in self.seen.findings)
        return N_(f"found: {places}")


def find(engine: Engine, deletion_id: UUID | None = None) -> list[Erased]:
    """The erased instance of this deletion, or all: of an id that was erased twice the newest deletion."""
    query = (
        select(Deletion.id, Deletion.instance_id, Deletion.instance_name, Deletion.without_gateways)
        .join(Receipt, Receipt.deletion_id == Deletion.id)
        .where(Deletion.status == DeletionStatus.SUCCEEDED)
        .order_by(Deletion.finished_at)
    )
    if deletion_id is not None:
        query = query.where(Deletion.id == deletion_id)
    with own_statement(engine) as connection:
        rows = connection.execute(query).all()
    newest = {row.instance_id: Erased(row[0], row[1], row[2], tuple(row[3])) for row in rows}
    return list(newest.values())


def attest(services: Services, actor: Actor, erased: Sequence[Erased]) -> Iterator[Attested]:
    """Attest each of them, in the order given; raises NoReceipt, ReceiptChanged or Unreachable."""
    for some in (erased[at : at + _AT_ONCE] for at in range(0, len(erased), _AT_ONCE)):
        began_at = _now(services)
        for each, seen in still_gone.look(services, some):
            yield _write(services, actor, each, seen, began_at)


def _write(services: Services, actor: Actor, erased: Erased, seen: Seen, began_at: str) -> Attested:
    proof = receipt.load(services.own, erased.deletion_id)
    if proof is None:
        raise NoReceipt
    content = {
        "instanceId": erased.instance_id,
        "receipt": {"sha256": attestation.digest(proof), "finishedAt": json.loads(proof)["receipt"]["finishedAt"]},
        "beganAt": began_at,
        "at": _now(services),
        "stores": list(seen.stores),
        "reach": seen.reach,
        "byNameToo": seen.by_name_too,
        "instanceExists": seen.exists,
        "found": len(seen.findings),
        "findings": [asdict(each) for each in seen.findings],
        "notCovered": list(seen.not_covered),
    }
    number = len(seen.findings)
    reason = "nothing found" if seen.is_gone else f"found in {number} place{'s' if number > 1 else ''}"
    decision = Decision.SUCCEEDED if seen.is_gone else Decision.FAILED
    entry = Entry(Action.ATTEST, decision, actor, erased.instance_id, erased.deletion_id, reason)
    document = attestation.write(services.own, services.settings, erased.deletion_id, content, entry)
    return Attested(erased.deletion_id, document, seen)


def _now(services: Services) -> str:
    return timing.now(services.own).astimezone(UTC).isoformat(timespec="milliseconds")
