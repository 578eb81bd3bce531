"""Reads the settings once for a process."""

from functools import cache

from pydantic import ValidationError

from shared.settings.errors import explain
from shared.settings.model import Settings


@cache
def read() -> Settings:
    """Read the settings, once for this process. With wrong settings, the process ends with an error text."""
    try:
        return Settings()
    except (ValidationError, OSError) as error:
        raise SystemExit(explain(error)) from None
