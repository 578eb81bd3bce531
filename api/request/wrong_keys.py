"""Limits how many wrong keys one address may send in a minute; right keys are never affected."""

import math
import time
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from flask import request
from limits import RateLimitItemPerMinute
from redis.exceptions import RedisError

from api.request import resources
from api.request.errors import LimitReached
from shared import logs

log = logs.get(__name__)
_NAMESPACE = "wrong-keys"
_PREFIX_LENGTH = 64  # one customer of a provider has at least so many IPv6 addresses
_LONGEST_ADDRESS = 64
# What proxies add. Any of them shows that the peer is, or says it is, a proxy.
_OF_PROXIES = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Proto", "X-Forwarded-Host")


def count() -> None:
    """Count a request with an unknown key; raises LimitReached when its address has sent too many."""
    address = _address()
    if address is None:
        return
    limit = RateLimitItemPerMinute(resources.services().settings.wrong_keys_per_minute)
    limiter = resources.rate_limiter()
    try:
        if limiter.hit(limit, _NAMESPACE, address):
            return
        reset_time = limiter.get_window_stats(limit, _NAMESPACE, address).reset_time
    except RedisError as error:  # the key is wrong all the same
        log.warning("wrong key not counted", error=type(error).__name__)
        return
    seconds = max(1, math.ceil(reset_time - time.time()))
    raise LimitReached(
        f"Too many requests with a wrong key: try again in {seconds} s", headers={"Retry-After": str(seconds)}
    )


def _address() -> str | None:
    """The caller's address, of IPv6 its network; None when it is, or may be, that of a proxy for many callers."""
    trusted = resources.services().settings.trusted_proxies
    forwarded = [part for value in request.headers.getlist("X-Forwarded-For") for part in value.split(",")]
    if trusted and len(forwarded) < trusted:  # not set by all of the proxies: the address is one of theirs
        return None
    if not trusted and any(name in request.headers for name in _OF_PROXIES):
        return None
    return _network_of(request.remote_addr or "")


def _network_of(address: str) -> str | None:
    try:
        parsed = ip_address(address if address.count(":") > 1 and "]" not in address else _without_port(address))
    except ValueError:
        return address[:_LONGEST_ADDRESS] or None
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ip_network((parsed, _PREFIX_LENGTH), strict=False))


def _without_port(address: str) -> str:
    """Some proxies add a port, which differs with each connection: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    return urlsplit(f"//{address}").hostname or ""
