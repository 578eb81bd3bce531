"""The nginx configuration of docs/operations, with the addresses of this deployment."""

import re
from pathlib import Path

PAGE = "docs/operations/nginx.conf"
_SOURCE = Path(__file__).parents[2] / PAGE


def configuration(lethe: str, servers: list[str]) -> str | None:
    """The text with these servers; None where Lethe was installed without its pages."""
    if not _SOURCE.is_file():
        return None
    text = _with_servers(_SOURCE.read_text(), "lethe", [lethe])
    return _with_servers(text, "evolution", servers)


def _with_servers(text: str, upstream: str, addresses: list[str]) -> str:
    lines = "".join(f"    server {each};\n" for each in addresses)
    return re.sub(rf"(upstream {upstream} {{\n)[^}}]*(}})", lambda found: found[1] + lines + found[2], text, count=1)
