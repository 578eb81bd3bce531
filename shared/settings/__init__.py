"""Lethe's settings. Every package may import them, from here; they import only `servers` and `signing` of shared."""

from shared.settings.errors import explain
from shared.settings.fields import ConfirmationMode, NotifyForm, WebhookForm
from shared.settings.model import Settings
from shared.settings.reading import read
from shared.settings.sources import PREFIX, source_of

__all__ = ["PREFIX", "ConfirmationMode", "NotifyForm", "Settings", "WebhookForm", "explain", "read", "source_of"]
