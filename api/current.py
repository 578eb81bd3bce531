"""What a request may use of the process it runs in."""

from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import cast

from flask import Flask, current_app

from shared.services import Services

_KEY = "lethe"


@dataclass(frozen=True)
class _Process:
    services: Services
    waiters: BoundedSemaphore  # well below the threads: waiting calls never block the others


def attach(app: Flask, services: Services) -> None:
    """Give the application its services."""
    app.extensions[_KEY] = _Process(services, BoundedSemaphore(services.settings.max_waiters))


def _process() -> _Process:
    return cast(_Process, current_app.extensions[_KEY])


def services() -> Services:
    """The services of this process."""
    return _process().services


def waiters() -> BoundedSemaphore:
    """One place for each call that may wait."""
    return _process().waiters
