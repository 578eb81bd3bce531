"""HTTP sessions for customers' webhooks: no private addresses, unless LETHE_WEBHOOK_ALLOW lists them."""

import ipaddress
import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter

from shared import logs

log = logs.get(__name__)
logging.getLogger("requests_hardened").setLevel(logging.ERROR)  # it warns of allowed addresses too
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class _AddressFilter(IPFilterAdapter):  # type: ignore[misc] # it has no type information
    """Resolves a name once and connects to that address; raises InvalidIPAddress for a private or special address.

    Addresses in the allowed networks are accepted.
    """

    def __init__(self, scheme: str, allowed: Sequence[Network]) -> None:
        super().__init__(is_https_proto=scheme == "https")
        self._allowed = allowed

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str, cert: Any = None
    ) -> Any:
        try:
            return super().build_connection_pool_key_attributes(request, verify, cert)
        except InvalidIPAddress as refused:  # by now, the Host header has the name
            (address,) = refused.args
            if not any(address in network for network in self._allowed):
                log.warning("webhook to a private address refused", address=str(address))
                raise
        attributes: Any = HTTPAdapter.build_connection_pool_key_attributes(self, request, verify, cert)
        host, pool = attributes
        if host["scheme"] == "https":
            pool |= {"assert_hostname": host["host"], "server_hostname": host["host"]}
        host["host"] = f"[{address}]" if address.version == 6 else str(address)
        return host, pool


def restricted(url: str, allowed: Sequence[str]) -> requests.Session:
    """A session for this URL that refuses private addresses, unless allowed lists the host or its network."""
    session = requests.Session()
    if not _is_named(url, allowed):
        networks = [network for each in allowed if (network := _network(each))]
        for scheme in ("http", "https"):
            session.mount(f"{scheme}://", _AddressFilter(scheme, networks))
    return session


def _is_named(url: str, allowed: Sequence[str]) -> bool:
    """Whether the host of the URL is in the list by its name."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host is not None and host.lower() in (each.lower() for each in allowed)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None
