"""The real nginx with the configuration of docs/operations, before two servers."""

import http.client
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from demo.ports import server_port
from demo.processes import Process, wait_until

CONFIGURATION = Path(__file__).parents[2] / "docs/operations/nginx.conf"


@dataclass(frozen=True)
class Proxy:
    """nginx, as a client reaches it."""

    port: int

    @property
    def url(self) -> str:
        """The public address."""
        return f"http://127.0.0.1:{self.port}"

    def send(self, method: str, target: str) -> tuple[int, str]:
        """The status and the body; the target goes out as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest(method, target)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@contextmanager
def nginx_before(folder: Path, lethe: str, evolution: str) -> Iterator[Proxy]:
    """The documented file; only the addresses of the two and the log's place differ."""
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if binary is None:
        missing = "no nginx here: apt-get install nginx-light"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    port, text = server_port(), CONFIGURATION.read_text()
    changes = {
        "127.0.0.1:8080": lethe.removeprefix("http://"),
        "127.0.0.1:8081": evolution.removeprefix("http://"),
        "127.0.0.1:80;": f"127.0.0.1:{port};",
        "/var/log/nginx/evolution.log": f"{folder}/access.log",
    }
    for documented, here in changes.items():
        assert documented in text
        text = text.replace(documented, here)
    places = "".join(f"{each}_temp_path {folder};\n" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}} http {{ {places} {text} }}"
    )
    argv = [binary, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]
    process = Process.start("nginx", argv, log=folder / "nginx.log")
    try:
        wait_until(lambda: answers(port), 10, "nginx", process=process)
        yield Proxy(port)
    finally:
        process.stop()


def answers(port: int) -> bool:
    """Whether it serves."""
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=1).ok
    except requests.RequestException:
        return False
