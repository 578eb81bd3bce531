"""The webhooks of a deletion: their receivers and their content, in the documented form or that of a running server."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shared.evolution.rows.tenant import WebhookRow
from shared.settings import Settings, WebhookForm

GLOBAL = "global"  # the operator's receiver, LETHE_WEBHOOK_GLOBAL_URL
OPERATOR = "operator"  # LETHE_NOTIFY_URL, which is told by shared.webhooks.notices
_INSTANCE = "instance"


@dataclass(frozen=True)
class Event:
    """One webhook to deliver; its id is the same in every try."""

    id: str
    target: str  # "instance" or "global"
    url: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class _Announcement:
    """What a running server sends for a deletion."""

    name: str  # in a webhook's list of events
    mark: str  # in an event's id
    has_data: bool

    @property
    def dotted(self) -> str:
        return self.name.lower().replace("_", ".")

    @property
    def path(self) -> str:
        return self.name.lower().replace("_", "-")


_DELETE = _Announcement("INSTANCE_DELETE", "", has_data=True)
_REMOVE = _Announcement("REMOVE_INSTANCE", "remove.", has_data=False)


def events_for(
    deletion_id: UUID, instance_id: str, instance_name: str, row: WebhookRow | None, settings: Settings
) -> list[Event]:
    """The events of a deletion in their order: to the instance's webhook, if that wants them, and to the global one."""
    data = {"instanceName": instance_name, "instanceId": instance_id}
    events = []
    for what, target, address, headers in _receivers(row, settings):
        content = data if what.has_data else None
        if settings.webhook_form is WebhookForm.SERVER:
            destination = row.url if row else f"{settings.webhook_global_url}/{what.path}"
            body = _of_a_server(what.dotted, instance_name, content, destination, settings.webhook_server_url)
        else:
            body = {"event": what.name, "instance": instance_name, "data": content}
        events.append(Event(f"{deletion_id}.{what.mark}{target}", target, address, headers, body))
    return events


def _receivers(row: WebhookRow | None, settings: Settings) -> Iterator[tuple[_Announcement, str, str, dict[str, str]]]:
    if row:
        for what in (_REMOVE, _DELETE) if settings.webhook_form is WebhookForm.SERVER else (_DELETE,):
            if not row.events or what.name in row.events:
                yield what, _INSTANCE, _address(row.url, what, by_events=row.by_events), row.headers
    if url := settings.webhook_global_url:  # a server sends no remove.instance there
        yield _DELETE, GLOBAL, _address(url, _DELETE, by_events=settings.webhook_global_by_events), {}


def _of_a_server(
    event: str, instance_name: str, data: dict[str, str] | None, destination: str, server_url: str
) -> dict[str, Any]:
    local = datetime.now(UTC).astimezone()
    return {
        "event": event,
        "instance": instance_name,
        "data": data,
        "destination": destination,
        "date_time": f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond // 1000:03}Z",  # local, for all its Z
        "server_url": server_url,
        "apikey": None,  # as with AUTHENTICATION_EXPOSE_IN_FETCH_INSTANCES=false
    }


def _address(url: str, what: _Announcement, *, by_events: bool) -> str:
    return f"{url.rstrip('/')}/{what.path}" if by_events else url
