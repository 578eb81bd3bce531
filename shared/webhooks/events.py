"""The INSTANCE_DELETE webhook: its receivers and its content."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.evolution.rows.tenant import WebhookRow
from shared.settings import Settings

EVENT = "INSTANCE_DELETE"
GLOBAL = "global"  # the operator's receiver, LETHE_WEBHOOK_GLOBAL_URL
_PATH = "/instance-delete"


@dataclass(frozen=True)
class Event:
    """One webhook to deliver; its id is the same in every try."""

    id: str
    target: str  # "instance" or "global"
    url: str
    headers: dict[str, str]
    body: dict[str, Any]


def events_for(
    deletion_id: UUID, instance_id: str, instance_name: str, row: WebhookRow | None, settings: Settings
) -> list[Event]:
    """The events of a deletion: to the instance's webhook, if that wants INSTANCE_DELETE, and to the global one."""
    body = {
        "event": EVENT,
        "instance": instance_name,
        "data": {"instanceName": instance_name, "instanceId": instance_id},
    }
    events = []
    if row and (not row.events or EVENT in row.events):
        url = _address(row.url, row.by_events)
        events.append(Event(f"{deletion_id}.instance", "instance", url, row.headers, body))
    if settings.webhook_global_url:
        url = _address(settings.webhook_global_url, settings.webhook_global_by_events)
        events.append(Event(f"{deletion_id}.{GLOBAL}", GLOBAL, url, {}, body))
    return events


def _address(url: str, by_events: bool) -> str:
    return url.rstrip("/") + _PATH if by_events else url
