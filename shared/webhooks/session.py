"""HTTP sessions for customers' webhooks: no private addresses, unless LETHE_WEBHOOK_ALLOW lists them."""

import ipaddress
import logging
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.util import parse_url

from shared import logs

log = logs.get(__name__)
logging.getLogger("requests_hardened").setLevel(logging.ERROR)  # it warns of allowed addresses too
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_READ_DIFFERENTLY = re.compile(r"[\\\x00-\x1f\x7f-\x9f]")  # parsers disagree about a backslash or a control character


class _AddressFilter(IPFilterAdapter):  # type: ignore[misc] # it has no type information
    """Resolves a name once and connects to that address; raises InvalidIPAddress for a private or special address.

    Addresses in the allowed networks, and those of the allowed names, are accepted. The name that is compared is the
    one that is resolved: no other parser reads the URL.
    """

    def __init__(self, scheme: str, allowed: Sequence[str]) -> None:
        super().__init__(is_https_proto=scheme == "https")
        self._names = {each.lower() for each in allowed}
        self._networks = [network for each in allowed if (network := _network(each))]

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str, cert: Any = None
    ) -> Any:
        try:
            attributes: Any = super().build_connection_pool_key_attributes(request, verify, cert)
            _refuse_special(ipaddress.ip_address(attributes[0]["host"].strip("[]")))
        except InvalidIPAddress as refused:  # by now, the Host header has the name
            (address,) = refused.args
            attributes = HTTPAdapter.build_connection_pool_key_attributes(self, request, verify, cert)
            host, pool = attributes
            if host["host"].lower() not in self._names and not any(address in each for each in self._networks):
                log.warning("webhook to a private address refused", address=str(address))
                raise
            if host["scheme"] == "https":
                pool |= {"assert_hostname": host["host"], "server_hostname": host["host"]}
            host["host"] = f"[{address}]" if address.version == 6 else str(address)
        return attributes


def _refuse_special(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Raise InvalidIPAddress for what Python does not call private: `::127.0.0.1` and `fec0::1`."""
    if address.version == 6 and (address.is_reserved or address.is_site_local):
        raise InvalidIPAddress(address)


def restricted(allowed: Sequence[str]) -> requests.Session:
    """A session that refuses private addresses, unless allowed lists the host or its network."""
    session = requests.Session()
    for scheme in ("http", "https"):
        session.mount(f"{scheme}://", _AddressFilter(scheme, allowed))
    return session


def without_userinfo(url: str) -> tuple[str, HTTPBasicAuth | None]:
    """The URL without its userinfo, and that for Basic authentication, in UTF-8 as Evolution sends it.

    Raises InvalidURL for a backslash or a control character, LocationValueError for other URLs that are none.
    """
    if _READ_DIFFERENTLY.search(url):
        raise requests.exceptions.InvalidURL
    parsed = parse_url(url.lstrip())
    if parsed.auth is None:
        return url, None
    user, _, password = parsed.auth.partition(":")
    return parsed._replace(auth=None).url, HTTPBasicAuth(unquote(user).encode(), unquote(password).encode())


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None
