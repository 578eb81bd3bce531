"""What the unit tests share: settings made of nothing real, and a clock that no test waits for."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import tenacity
from hypothesis import HealthCheck, settings

from shared.settings import Settings

# A slow machine makes no test fail.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# The least that Settings asks for; nothing here can be reached.
REQUIRED: dict[str, Any] = {
    "admin_key": "admin-key-of-the-unit-tests",
    "secret_key": "secret-key-of-the-unit-tests-0123456789",
    "database_url": "postgresql://own.invalid/own",
    "tenant_database_url": "postgresql://tenant.invalid/tenant",
    "redis_url": "redis://redis.invalid/0",
    "gateways": "http://gateway.invalid:8080",
    "gateway_key": "gateway-key-of-the-unit-tests",
}


@dataclass
class Clock:
    """A monotonic clock on which a pause costs nothing."""

    now: float = 1000.0

    def monotonic(self) -> float:
        """The time so far."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.now += seconds


@pytest.fixture
def make_settings() -> Callable[..., Settings]:
    """Make settings: make_settings(slice_seconds=1)."""
    return lambda **changes: Settings(**{**REQUIRED, **changes})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Tenacity's clock, replaced: retries take no time."""
    fake = Clock(time.monotonic())
    monkeypatch.setattr(tenacity, "time", SimpleNamespace(monotonic=fake.monotonic))
    monkeypatch.setattr(tenacity.nap, "time", SimpleNamespace(sleep=fake.sleep))
    return fake


@pytest.fixture(autouse=True)
def no_trail() -> Iterator[None]:
    """A request that a test has made leaves its id in this thread, as in a server's until the next one comes."""
    yield
    structlog.contextvars.clear_contextvars()
