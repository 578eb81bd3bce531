"""Where a customer's webhook may lead: never inside, unless the operator opened the host or the network."""

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
logging.getLogger("requests_hardened").setLevel(logging.ERROR)  # it calls forbidden what is opened
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class _Guard(IPFilterAdapter):  # type: ignore[misc] # it has no type information
    """Looks a name up once and connects to what was found, unless that is private, loopback or otherwise special.

    An address in an opened network is connected to all the same.
    """

    def __init__(self, scheme: str, opened: Sequence[Network]) -> None:
        super().__init__(is_https_proto=scheme == "https")
        self._opened = opened

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str, cert: Any = None
    ) -> Any:
        try:
            return super().build_connection_pool_key_attributes(request, verify, cert)
        except InvalidIPAddress as refused:  # by now, the Host header has the name
            (address,) = refused.args
            if not any(address in network for network in self._opened):
                log.warning("webhook leads inside", address=str(address))
                raise
        attributes: Any = HTTPAdapter.build_connection_pool_key_attributes(self, request, verify, cert)
        host, pool = attributes
        if host["scheme"] == "https":
            pool |= {"assert_hostname": host["host"], "server_hostname": host["host"]}
        host["host"] = f"[{address}]" if address.version == 6 else str(address)
        return host, pool


def restricted(url: str, allowed: Sequence[str]) -> requests.Session:
    """A session for this URL alone: a customer typed it, and we stand within."""
    session = requests.Session()
    if not _is_named(url, allowed):
        opened = [network for each in allowed if (network := _network(each))]
        for scheme in ("http", "https"):
            session.mount(f"{scheme}://", _Guard(scheme, opened))
    return session


def _is_named(url: str, allowed: Sequence[str]) -> bool:
    """Whether the operator opened this host by its name."""
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
