"""The INSTANCE_DELETE webhook: whom it goes to, what it says, and one try to deliver it."""

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
import requests

from shared.settings import Settings
from shared.tenant import WebhookRow

EVENT = "INSTANCE_DELETE"
_PATH = "/instance-delete"


@dataclass(frozen=True)
class Event:
    """One webhook to be delivered; the id stays the same however often it is tried."""

    id: str
    target: str  # "instance" or "global"
    url: str
    headers: dict[str, str]
    body: dict[str, Any]


def events_for(
    deletion_id: UUID, instance_id: str, instance_name: str, row: WebhookRow | None, settings: Settings
) -> list[Event]:
    """The events of one deletion: the instance's own webhook, if it asks for this event, and the global one."""
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
        events.append(Event(f"{deletion_id}.global", "global", url, {}, body))
    return events


def deliver(event: Event, timeout_seconds: float) -> str | None:
    """Try once; None when it was delivered, else why not. Never raises for what a receiver does."""
    try:
        answer = requests.post(
            event.url,
            json=event.body,
            headers={**_headers(event.headers), "webhook-id": event.id},
            timeout=(min(2.0, timeout_seconds), timeout_seconds),
            allow_redirects=False,
        )
    except (requests.RequestException, ValueError) as error:  # ValueError: a header or URL that cannot be sent
        return type(error).__name__
    return None if answer.ok and not answer.is_redirect else f"status {answer.status_code}"


def _address(url: str, by_events: bool) -> str:
    return url.rstrip("/") + _PATH if by_events else url


def _headers(configured: dict[str, str]) -> dict[str, str]:
    """The configured headers; one named jwt_key becomes a bearer token signed with its value."""
    headers = {name: value for name, value in configured.items() if name != "jwt_key"}
    if key := configured.get("jwt_key"):
        now = int(time.time())
        claims = {"iat": now, "exp": now + 600, "app": "evolution", "action": "webhook"}
        headers["Authorization"] = f"Bearer {jwt.encode(claims, key, algorithm='HS256')}"
    return headers
