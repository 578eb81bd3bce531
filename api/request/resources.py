"""The services, the rate limiter and the waiting slots of this process, for each request."""

from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import cast

from flask import Flask, current_app
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter, RateLimiter

from shared.services import Services

_KEY = "lethe"


@dataclass(frozen=True)
class _Process:
    services: Services
    waiters: BoundedSemaphore  # far fewer than threads, so that waiting requests never block the others
    limiter: RateLimiter


def attach(app: Flask, services: Services) -> None:
    """Attach the services to the application."""
    # The limiter shares the lock's connections: both work, or neither does.
    storage = RedisStorage("redis://", connection_pool=services.redis.connection_pool, key_prefix="lethe:limit")
    waiters = BoundedSemaphore(services.settings.max_waiters)
    app.extensions[_KEY] = _Process(services, waiters, MovingWindowRateLimiter(storage))


def _process() -> _Process:
    return cast(_Process, current_app.extensions[_KEY])


def services() -> Services:
    """The services of this process."""
    return _process().services


def waiting_slots() -> BoundedSemaphore:
    """One slot for each request that may wait for the end of a deletion."""
    return _process().waiters


def rate_limiter() -> RateLimiter:
    """Counts requests in Redis."""
    return _process().limiter
