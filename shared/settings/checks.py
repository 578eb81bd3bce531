"""Checks of single settings; a ValueError says what is needed, without the value."""

import base64
import binascii
import re
from urllib.parse import urlsplit

_SHORTEST_KEY = 24  # bytes, as Standard Webhooks recommends
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:.]+\](:\d{1,5})?")


def gateways(urls: tuple[str, ...]) -> tuple[str, ...]:
    """The base URLs of the gateways, without a slash at their end."""
    if not urls:
        raise ValueError("name at least one gateway")
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("each gateway is an http(s) base URL without a query")
        if "@" in parts.netloc:
            raise ValueError("a gateway's URL is shown and logged: it can carry no user or password")
        _ = parts.port  # raises ValueError for one that cannot be
    return tuple(url.rstrip("/") for url in urls)


def origins(given: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers send them."""
    if not all(map(_ORIGIN.fullmatch, given)):
        raise ValueError("each origin is as browsers send it: https://panel.example, without a path; no *")
    return given


def webhook_key(key: str) -> None:
    """A key of Standard Webhooks."""
    prefix, _, encoded = key.partition("_")
    try:
        enough = len(base64.b64decode(encoded, validate=True)) >= _SHORTEST_KEY
    except binascii.Error:
        enough = False
    if prefix != "whsec" or not enough:
        raise ValueError("whsec_ and the base64 of at least 24 bytes are needed")


def age_recipient(key: str) -> None:
    """A public key of age, for which something is encrypted."""
    import pyrage  # 3 MB, which few deployments need

    try:
        pyrage.x25519.Recipient.from_str(key)
    except pyrage.RecipientError:
        raise ValueError("an age public key is needed: age1...") from None
