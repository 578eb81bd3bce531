"""Schemas of the endpoints of evidence."""

from typing import Any, Literal

from pydantic import Field

from api.openapi.schemas import Schema


class SignedAttestation(Schema):
    """What the stores held at a time; signed as a receipt is."""

    attestation: dict[str, Any]
    algorithm: Literal["Ed25519"]
    key_id: str = Field(description="Thumbprint of the key, as in /.well-known/lethe-keys.json")
    signature: str = Field(description="Of 64 bytes, as base64url without padding")
