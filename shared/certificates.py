"""The authorities whose certificates Lethe accepts: the public ones, and those of LETHE_CA_FILE."""

import atexit
import os
import ssl
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import certifi

_ROOTS = {"ssl_ca_certs", "ssl_ca_path", "ssl_ca_data"}  # options of redis-py


@cache
def bundle(ca_file: Path | None) -> str | None:
    """The path of a PEM file with all of them; None without LETHE_CA_FILE: each library then has its own roots."""
    if ca_file is None:
        return None
    system = ssl.get_default_verify_paths().cafile
    files = [Path(certifi.where()), *([Path(system)] if system else []), ca_file]
    return _keep(b"\n".join(file.read_bytes() for file in files))


def _keep(content: bytes) -> str:
    """A file that lives as long as this process and its forks: in memory, where the system has such files."""
    if hasattr(os, "memfd_create"):
        path = f"/proc/self/fd/{os.memfd_create('lethe-ca')}"
    else:
        descriptor, path = tempfile.mkstemp(prefix="lethe-ca-", suffix=".pem")
        os.close(descriptor)
        atexit.register(_remove, path, os.getpid())
    Path(path).write_bytes(content)
    return path


def _remove(path: str, owner: int) -> None:
    if os.getpid() == owner:  # not in a fork
        Path(path).unlink(missing_ok=True)


def in_redis_url(url: str, ca_file: Path | None) -> str:
    """The URL of a Redis with the option that names them, if it speaks TLS and names none itself."""
    path, parts = bundle(ca_file), urlsplit(url)
    if path is None or parts.scheme not in ("rediss", "sentinels") or _ROOTS & parse_qs(parts.query).keys():
        return url
    return parts._replace(query="&".join(filter(None, [parts.query, f"ssl_ca_certs={quote(path)}"]))).geturl()


def for_rabbitmq(url: str, ca_file: Path | None) -> dict[str, Any] | None:
    """The TLS options of py-amqp for this URL; None leaves it to kombu."""
    if ca_file is None or urlsplit(url).scheme != "amqps":
        return None
    return {"ca_certs": bundle(ca_file), "server_hostname": None}  # None: the URL's


def are_refused(error: BaseException | None) -> bool:
    """Whether this error, or one behind it, says that a server's certificate is of no authority that is known."""
    while error is not None:
        if "certificate verify failed" in str(error).lower():
            return True
        error = error.__cause__ or error.__context__
    return False
