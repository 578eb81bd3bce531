"""Sends a webhook once: signed, with a time limit, and not to private addresses."""

import base64
import json
import time
from datetime import UTC, datetime
from hmac import digest
from threading import Thread

import jwt
import requests
from requests_hardened.ip_filter import InvalidIPAddress
from standardwebhooks import Webhook
from urllib3.exceptions import LocationValueError

from shared import certificates
from shared.settings import Settings
from shared.translations.marks import N_
from shared.webhooks import session as webhook_session
from shared.webhooks.events import GLOBAL, Event

NOT_ALLOWED = N_("its address is not allowed")  # it does not say which address that is
NO_URL = N_("its URL is invalid")
PERMANENT_FAILURES = (NOT_ALLOWED, NO_URL)  # another try has the same result
_NO_URLS = (
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    LocationValueError,
)


def signing_key(settings: Settings) -> str:
    """The key for webhook signatures, as Standard Webhooks writes it: whsec_<base64>."""
    if settings.webhook_key:
        return settings.webhook_key.get_secret_value()
    derived = digest(settings.secret_key.get_secret_value().encode(), b"lethe webhook signatures", "sha256")
    return f"whsec_{base64.b64encode(derived).decode()}"


def deliver(event: Event, settings: Settings) -> str | None:
    """Send the webhook once. Returns None when it was delivered, else the error; raises none of the receiver's."""
    outcome: list[str | None] = []
    # In a thread: the timeout of requests is for each read, and a receiver that sends a byte a second never exceeds it.
    attempt = Thread(target=lambda: outcome.append(_post(event, settings)), daemon=True)
    attempt.start()
    attempt.join(timeout=settings.webhook_timeout_seconds * 2)
    return outcome[0] if outcome else "took too long"


def _post(event: Event, settings: Settings) -> str | None:
    timeout_seconds = settings.webhook_timeout_seconds
    body = json.dumps(event.body)
    try:
        url, auth = webhook_session.without_userinfo(event.url)
        with _session(event, settings) as session:
            session.trust_env = False  # else a .netrc of the host replaces the customer's Authorization header
            session.verify = certificates.bundle(settings.ca_file) or True
            answer = session.post(
                url,
                auth=auth,
                data=body.encode(),
                headers={**_headers(event.headers), **_signature(event.id, body, settings)},
                timeout=(min(2.0, timeout_seconds), timeout_seconds),
                allow_redirects=False,
                stream=True,  # the answer's body is not read
            )
    except InvalidIPAddress:
        return NOT_ALLOWED
    except _NO_URLS:
        return NO_URL
    except (
        requests.RequestException,
        jwt.PyJWTError,
        ValueError,
    ) as error:  # headers or jwt_key may be wrong
        return type(error).__name__
    return None if answer.ok and not answer.is_redirect else f"status {answer.status_code}"


def _session(event: Event, settings: Settings) -> requests.Session:
    if event.target == GLOBAL:  # the operator's own URL may be a private address
        return requests.Session()
    return webhook_session.restricted(settings.webhook_allow)


def _signature(event_id: str, body: str, settings: Settings) -> dict[str, str]:
    """Headers of Standard Webhooks. The id is the same in every try, so that a receiver can drop repeats."""
    now = datetime.now(UTC)
    return {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(signing_key(settings)).sign(event_id, now, body),
    }


def _headers(configured: dict[str, str]) -> dict[str, str]:
    """The configured headers. Like in Evolution, jwt_key becomes a bearer token signed with its value."""
    headers = {name: value for name, value in configured.items() if name != "jwt_key"}
    if key := configured.get("jwt_key"):
        now = int(time.time())
        claims = {"iat": now, "exp": now + 600, "app": "evolution", "action": "webhook"}
        headers["Authorization"] = f"Bearer {jwt.encode(claims, key, algorithm='HS256')}"
    return headers
