"""Asks the time-stamp authority for what waits, in a task of its own: a slow authority delays no deletion."""

import time

from shared import logs
from shared.errors import LetheError
from shared.evidence import audit_head
from shared.services import Services
from shared.stamps import authority, outbox

log = logs.get(__name__)
_AT_ONCE = 20


def stamp(services: Services) -> int:
    """Stamp what is due, for no longer than a slice; returns how many. An error ends the round."""
    if services.settings.timestamp_url is None:
        return 0
    ends, stamped = time.monotonic() + services.settings.slice_seconds, 0
    try:
        audit_head.enqueue_daily(services.own, services.settings)
    except audit_head.AuditIncomplete as error:  # `lethe audit verify` says which; receipts are stamped all the same
        log.error("head of the audit not signed", reason=error.title)
    while time.monotonic() < ends and (due := outbox.take_due(services.own, _AT_ONCE)):
        for stamp_id in due:
            if time.monotonic() > ends:
                return stamped  # the others are due again in a minute
            if not _stamp(services, stamp_id):
                return stamped
            stamped += 1
    return stamped


def _stamp(services: Services, stamp_id: str) -> bool:
    document = outbox.document_of(services.own, stamp_id)
    try:
        if document is None:
            raise LetheError("what it is of is not there")
        answer, verified = authority.stamp(document.encode(), services.settings)
    except LetheError as error:
        log.warning("not stamped", stamp=stamp_id, reason=error.title)
        outbox.put_off(services.own, stamp_id, error.title)
        return False
    outbox.store(services.own, stamp_id, answer, verified)
    log.info("stamped", stamp=stamp_id, at=verified.at.isoformat())
    return True
