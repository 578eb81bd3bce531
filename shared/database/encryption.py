"""Encrypts secrets before they are stored in the own database."""

import base64
from hashlib import sha256

from cryptography.fernet import Fernet

from shared.settings import Settings


def cipher(settings: Settings) -> Fernet:
    """Encrypts and decrypts with a key derived from LETHE_SECRET_KEY."""
    return Fernet(base64.urlsafe_b64encode(sha256(settings.secret_key.get_secret_value().encode()).digest()))
