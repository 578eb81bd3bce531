"""The services, the rate limiter and the waiting slots of this process, for each request."""

from threading import BoundedSemaphore
from typing import cast

from flask import Flask, current_app
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from shared.services import Services


def attach(app: Flask, services: Services) -> None:
    """Attach the services to the application."""
    # The limiter shares the lock's connections: both work, or neither does.
    storage = RedisStorage("redis://", connection_pool=services.redis.connection_pool, key_prefix="lethe:limit")
    app.extensions["lethe.services"] = services
    app.extensions["lethe.rate_limiter"] = MovingWindowRateLimiter(storage)
    # Far fewer slots than threads, so that waiting requests never block the others.
    app.extensions["lethe.waiting_slots"] = BoundedSemaphore(services.settings.max_waiters)


def services() -> Services:
    """The services of this process."""
    return cast(Services, current_app.extensions["lethe.services"])


def rate_limiter() -> MovingWindowRateLimiter:
    """Counts requests in Redis."""
    return cast(MovingWindowRateLimiter, current_app.extensions["lethe.rate_limiter"])


def waiting_slots() -> BoundedSemaphore:
    """One slot for each request that may wait for the end of a deletion."""
    return cast(BoundedSemaphore, current_app.extensions["lethe.waiting_slots"])
