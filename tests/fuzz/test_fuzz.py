"""Thousands of requests that nobody sends on purpose: no answer is a 5xx, and no secret comes out."""

import http.client
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from demo.evolution.seed import seed_instance
from tests.fuzz.maker import Maker, Request
from tests.system import ADMIN_KEY, GATEWAY_KEY, System

MARK = "planted7391"  # in names, keys, headers and bodies: may be told to its sender, and stands in no log
PHONE = "5511987654321"
WEBHOOK_SECRET = "planted-webhook-secret-4482"
SENDERS = 4
SECONDS = 600
# A running API, and a worker for what is accepted.
pytestmark = pytest.mark.system("web", "worker", wait_seconds=0.1, log_level="DEBUG")


@dataclass
class Figures:
    """What came of the requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    closed: int = 0

    def __iadd__(self, other: "Figures") -> "Figures":
        self.statuses += other.statuses
        self.wrong += other.wrong
        self.closed += other.closed
        return self

    def __str__(self) -> str:
        statuses = ", ".join(f"{status}: {times}" for status, times in sorted(self.statuses.items()))
        return f"{sum(self.statuses.values())} answers ({statuses}), {self.closed} connections closed without one"


def test_no_request_brings_a_5xx_or_a_secret_out(system: System, request: pytest.FixtureRequest) -> None:
    """`make fuzz REQUESTS=20000` sends more of them, and prints the figures."""
    number, seed = request.config.getoption("--requests"), request.config.getoption("--seed")
    token = seed_instance(system.deployment, "its own", messages=3).token
    seed_instance(
        system.deployment, PHONE, messages=3, webhook_url=system.receiver.url, webhook_headers={"x": WEBHOOK_SECRET}
    )
    deletion = UUID(system.delete(PHONE, Prefer="respond-async").body["response"]["deletionId"])
    system.wait_for(str(deletion))
    secrets = secrets_of(system, token)
    makers = [
        Maker(random.Random(f"{seed} {place}"), (ADMIN_KEY, token), (deletion,), MARK) for place in range(SENDERS)
    ]

    began, figures = time.monotonic(), Figures()
    with ThreadPoolExecutor(SENDERS) as pool:
        for found in pool.map(lambda maker: send_all(system, maker, number // SENDERS, secrets), makers):
            figures += found
    print(f"\n{figures} in {time.monotonic() - began:.0f} s")  # noqa: T201 - what `make fuzz` is for
    assert figures.wrong == []
    assert figures.closed == 0
    assert {200, 400, 401, 404, 405} <= set(figures.statuses)
    assert leaks(system, (*secrets, MARK, PHONE)) == []
    assert system.call("GET", "/health/ready").status_code == 200


def secrets_of(system: System, token: str) -> tuple[str, ...]:
    """What no answer may contain."""
    secret_key = system.settings.secret_key.get_secret_value()
    urls = system.settings.database_url.get_secret_value(), system.settings.tenant_database_url.get_secret_value()
    return ADMIN_KEY, GATEWAY_KEY, secret_key, token, WEBHOOK_SECRET, *urls, "Traceback (most recent call last)"


def send_all(system: System, maker: Maker, number: int, secrets: tuple[str, ...]) -> Figures:
    """Send so many, but not for longer than SECONDS."""
    figures, until = Figures(), time.monotonic() + SECONDS
    for _ in range(number):
        if time.monotonic() > until:
            figures.wrong.append(f"not all were sent in {SECONDS} s")
            break
        made = maker.make()
        answer = send(system, made)
        if answer is None:
            figures.closed += 1
            figures.wrong.append(f"no answer to {made}")
            continue
        status, text = answer
        figures.statuses[status] += 1
        if status >= 500 or any(secret in text for secret in secrets):
            figures.wrong.append(f"{status} {text[:200]} to {made}")
    return figures


def send(system: System, made: Request) -> tuple[int, str] | None:
    """Status, and headers and body in one; None if the connection was closed without an answer."""
    host, port = system.settings.bind.split(":")
    connection = Verbatim(host, int(port), timeout=60)
    try:
        connection.putrequest(made.method, made.target, skip_accept_encoding=True)
        for name, value in made.headers:
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders(made.body or None)
        response = connection.getresponse()
        return response.status, f"{response.headers}\n{response.read().decode(errors='replace')}"
    except (http.client.BadStatusLine, ConnectionError):
        return None
    finally:
        connection.close()


class Verbatim(http.client.HTTPConnection):
    """Sends what it is given: no client mends it."""

    def _validate_method(self, method: str) -> None: ...

    def _validate_path(self, url: str) -> None: ...

    def _encode_request(self, request: str) -> bytes:
        return request.encode("latin-1")


def leaks(system: System, secrets: tuple[str, ...]) -> list[str]:
    """Lines of the logs that hold one of these."""
    return [
        f"{log.name}: {line[:300]}"
        for log in sorted(system.folder.glob("*.log"))
        for line in log.read_text(errors="replace").splitlines()
        if any(secret in line for secret in secrets)
    ]
