"""What a request may use of the process it runs in."""

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
    waiters: BoundedSemaphore  # well below the threads: waiting calls never block the others
    limiter: RateLimiter


def attach(app: Flask, services: Services) -> None:
    """Give the application its services."""
    # On the connections of the lock: a Redis that is away for one is away for the other.
    storage = RedisStorage("redis://", connection_pool=services.redis.connection_pool, key_prefix="lethe:limit")
    waiters = BoundedSemaphore(services.settings.max_waiters)
    app.extensions[_KEY] = _Process(services, waiters, MovingWindowRateLimiter(storage))


def _process() -> _Process:
    return cast(_Process, current_app.extensions[_KEY])


def services() -> Services:
    """The services of this process."""
    return _process().services


def waiters() -> BoundedSemaphore:
    """One place for each call that may wait."""
    return _process().waiters


def limiter() -> RateLimiter:
    """What counts the deletions that each key has ordered."""
    return _process().limiter
