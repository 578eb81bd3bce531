"""Tells the operator, and tries undelivered webhooks again, in a task of its own: a slow receiver delays nothing."""

import time

from shared import logs
from shared.services import Services
from shared.webhooks import notices, outbox

log = logs.get(__name__)
_AT_ONCE = 20


def redeliver(services: Services) -> int:
    """Try the events that are due, for no longer than a slice; returns how many were delivered."""
    ends, delivered = time.monotonic() + services.settings.slice_seconds, 0
    expired = outbox.expire(services.own, services.settings)
    if expired:
        log.warning("webhooks expired undelivered", events=expired)
    notices.add_waiting(services.own, services.settings)
    while time.monotonic() < ends and (taken := outbox.take_due(services.own, _AT_ONCE)):
        for event_id in taken:
            if time.monotonic() > ends:
                break  # the others are due again in a moment
            failure = outbox.try_to_deliver(services.own, services.settings, event_id)
            delivered += failure is None
            log.info("webhook tried again", event_id=event_id, failure=failure)
    return delivered
