"""The nginx configuration of docs/operations: what was sent arrives as it was sent, at the one who is meant."""

import http.client
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from demo.evolution.serving import Answer, Request, Server
from demo.processes import Process, free_port, wait_until

CONFIGURATION = Path(__file__).parents[2] / "docs/operations/nginx.conf"


@dataclass(frozen=True)
class Proxy:
    """nginx before two servers that answer who they are and what they were asked."""

    port: int

    def send(self, method: str, target: str) -> tuple[int, str]:
        """The status, and `<server> <target>` as the server saw it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest(method, target)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def telling(name: str) -> Server:
    """A server that answers its name and the raw target."""

    def answer(request: Request) -> Answer:
        return Answer(200, f"{name} {request.target}")

    server = Server(answer)
    server.start()
    return server


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The real nginx with the documented file; only addresses and the log's place differ."""
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if binary is None:
        missing = "no nginx here: apt-get install nginx-light"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    lethe, evolution = telling("lethe"), telling("evolution")
    text = CONFIGURATION.read_text()
    changes = {
        "127.0.0.1:8080": lethe.url.removeprefix("http://"),
        "127.0.0.1:8081": evolution.url.removeprefix("http://"),
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
    wait_until(lambda: answers(port), 10, "nginx", process=process)
    yield Proxy(port)
    process.stop()
    for server in (lethe, evolution):
        server.stop()


def answers(port: int) -> bool:
    """Whether it serves."""
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=1).ok
    except requests.RequestException:
        return False


@pytest.mark.parametrize(
    "name",
    [
        "a", "a%2Fb", "a%2fb", "%2e%2e", "..%2Fdelete%2Fb", "a//b", "//", "a%20", "%61", "a%3Fb", "a%25b", "a+b", "%0A",
        "%F0%9F%A6%8A" * 255, "a;b=c", "a?", "a?b=c", "a/b", ".", "%2E", "a%5Cb", "",
    ],
    ids=lambda name: name[:20],
)  # fmt: skip
@pytest.mark.parametrize("call", ["delete", "logout"])
def test_names_reach_lethe_as_they_were_sent(proxy: Proxy, call: str, name: str) -> None:
    """Byte for byte: nothing decoded, merged or normalised."""
    target = f"/instance/{call}/{name}"

    assert proxy.send("DELETE", target) == (200, f'"lethe {target}"')


@pytest.mark.parametrize(
    "target",
    [
        "/instance/x/../delete/a", "/instance/%64elete/a", "/Instance/Delete/a", "/instance//delete/a",
        "/x/%2e%2e/instance/delete/a", "/instance/delete", "/instance%2Fdelete%2Fa", "/instance/x/..%2fdelete/a",
    ],
)  # fmt: skip
def test_no_other_spelling_leads_round_lethe(proxy: Proxy, target: str) -> None:
    """Lethe answers 404 to it; Evolution, which might understand it, never sees it."""
    assert proxy.send("DELETE", target) == (200, f'"lethe {target}"')


@pytest.mark.parametrize(
    "target",
    [
        "/deletions", "/deletions/6f1c2a34-0b5d-4e7f-8a9b-1c2d3e4f5a6b/receipt?format=html", "/audit?limit=5",
        "/console", "/console/instances", "/.well-known/lethe-keys.json",
    ],
)  # fmt: skip
def test_what_is_lethes_alone_reaches_it(proxy: Proxy, target: str) -> None:
    """Its answers lead there: Location, the console's links, the keys of a receipt."""
    assert proxy.send("GET", target) == (200, f'"lethe {target}"')


@pytest.mark.parametrize(
    "target",
    [
        "/", "/deletionsx", "/consoles", "/instance/create", "/instance/connectionState/a", "/instance/deleted/a",
        "/message/sendText/a%2Fb?x=1",
        "/chat/delete/a", "/manager//x", "/instance/fetchInstances?instanceName=/instance/delete/a",
    ],
)  # fmt: skip
def test_everything_else_reaches_evolution_as_it_was_sent(proxy: Proxy, target: str) -> None:
    """Its own names as well."""
    assert proxy.send("GET", target) == (200, f'"evolution {target}"')
