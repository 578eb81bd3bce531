"""Ed25519 signatures over canonical JSON (RFC 8785)."""

import base64
import binascii
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shared.errors import LetheError

ALGORITHM = "Ed25519"


class InvalidDocument(LetheError):
    """The document is not what was signed."""


class InvalidKeySet(LetheError):
    """The keys are no JSON Web Key Set with an Ed25519 key in it."""


def read_private_key(text: str) -> Ed25519PrivateKey:
    """Read a private key: PEM, or the base64 of its 32 bytes; raises ValueError."""
    try:
        if text.lstrip().startswith("-----BEGIN"):
            key = load_pem_private_key(text.encode(), password=None)
        else:
            key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("an Ed25519 private key is needed, as unencrypted PEM or as the base64 of its 32 bytes")
    return key


def as_jwk(key: Ed25519PublicKey) -> dict[str, str]:
    """The public key as a JSON Web Key (RFC 8037), named by its thumbprint (RFC 7638)."""
    needed = {"crv": ALGORITHM, "kty": "OKP", "x": _encode(key.public_bytes_raw())}
    thumbprint = _encode(sha256(rfc8785.dumps(needed)).digest())
    return {**needed, "kid": thumbprint, "alg": "EdDSA", "use": "sig"}


def read_key_set(text: str | bytes) -> dict[str, Ed25519PublicKey]:
    """Read a JSON Web Key Set: public keys by their computed thumbprints; raises InvalidKeySet."""
    try:
        members = json.loads(text)["keys"]
        ours = [each for each in members if (each.get("kty"), each.get("crv")) == ("OKP", ALGORITHM)]
        keys = [Ed25519PublicKey.from_public_bytes(_decode(each["x"])) for each in ours]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidKeySet from error
    if not keys:
        raise InvalidKeySet
    return {as_jwk(key)["kid"]: key for key in keys}


def sign(content: Mapping[str, Any], key: Ed25519PrivateKey) -> str:
    """The signed document as canonical JSON: the content, the algorithm, the key id, and the signature of all these."""
    document = {**content, "algorithm": ALGORITHM, "keyId": as_jwk(key.public_key())["kid"]}
    return rfc8785.dumps({**document, "signature": _encode(key.sign(rfc8785.dumps(document)))}).decode()


def check(text: bytes, keys: Mapping[str, Ed25519PublicKey]) -> dict[str, Any]:
    """Verify and read a signed document; raises InvalidDocument, with the reason, when a byte was changed."""
    document = _read(text)
    signature, key = document.get("signature"), keys.get(str(document.get("keyId")))
    if document.get("algorithm") != ALGORITHM:
        raise InvalidDocument(f"it is not signed with {ALGORITHM}")
    if key is None:
        raise InvalidDocument("none of the keys is the one that it names")
    signed = rfc8785.dumps({name: value for name, value in document.items() if name != "signature"})
    try:
        raw = _decode(str(signature))
        key.verify(raw, signed)
    except (ValueError, InvalidSignature) as error:
        raise InvalidDocument("the signature does not fit: something was changed after it was signed") from error
    if _encode(raw) != signature:  # base64 can write the same bytes in several ways
        raise InvalidDocument("the signature is not written as it was")
    return document


def _read(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)
        canonical = rfc8785.dumps(document)
    except (ValueError, RecursionError) as error:  # rfc8785's own errors are ValueErrors
        raise InvalidDocument("it cannot be read as JSON") from error
    if not isinstance(document, dict):
        raise InvalidDocument("it is no JSON object")
    if canonical != text.removesuffix(b"\n"):  # an editor or a shell may add a newline at the end
        raise InvalidDocument("it is not in the form in which it was signed (RFC 8785): it was edited or formatted")
    return document


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
