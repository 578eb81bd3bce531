"""Seals what the own database keeps for a while and nobody is to read there."""

import base64
from hashlib import sha256

from cryptography.fernet import Fernet

from shared.settings import Settings


def cipher(settings: Settings) -> Fernet:
    """The seal of this deployment, derived from secret_key."""
    return Fernet(base64.urlsafe_b64encode(sha256(settings.secret_key.get_secret_value().encode()).digest()))
