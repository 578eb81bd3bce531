"""The URL of a PostgreSQL with several hosts: one of them is the primary, the others are standbys."""

import re
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

_PRIMARY_ONLY = ("read-write", "primary")
_NODE = re.compile(r"(\[[^]]+]|[^:\[\]]*)(?::(\d*))?")


def check(url: str) -> None:
    """Raise ValueError, without the URL in it, for several hosts of which a standby could be taken."""
    query = parse_qs(urlsplit(for_sqlalchemy(url)).query)
    hosts = [host for value in query.get("host", []) for host in value.split(",")]
    if len(hosts) > 1 and query.get("target_session_attrs", [""])[-1] not in _PRIMARY_ONLY:
        raise ValueError("with several hosts, add target_session_attrs=read-write, else a standby could be taken")


def for_sqlalchemy(url: str) -> str:
    """Move libpq's host1:5432,host2:5432 into the query, where SQLAlchemy reads them; other URLs stay as they are."""
    parts = urlsplit(url)
    login, at, addresses = parts.netloc.rpartition("@")
    if "," not in addresses:
        return url
    nodes = [_NODE.fullmatch(node) for node in addresses.split(",")]
    found = [(unquote(node[1].strip("[]")), node[2] or "") for node in nodes if node]
    if len(found) < len(nodes):
        raise ValueError("its hosts are host:port, separated by commas; is a password in it percent-encoded?")
    moved = urlencode(
        {name: ",".join(each) for name, each in zip(("host", "port"), zip(*found, strict=True), strict=True)}
    )
    return f"{parts.scheme}://{login}{at}{parts.path}?{parts.query and parts.query + '&'}{moved}"
