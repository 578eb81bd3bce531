"""The nginx configuration of docs/operations: what was sent arrives as it was sent, at the one who is meant."""

from collections.abc import Iterator

import pytest

from demo.evolution.serving import Answer, Request, Server
from tests.integration.proxy import Proxy, nginx_before


def telling(name: str) -> Server:
    """A server that answers its name and the raw target."""

    def answer(request: Request) -> Answer:
        return Answer(200, f"{name} {request.target}")

    server = Server(answer)
    server.start()
    return server


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """nginx before two servers that answer who they are and what they were asked."""
    lethe, evolution = telling("lethe"), telling("evolution")
    with nginx_before(tmp_path_factory.mktemp("nginx"), lethe.url, evolution.url) as running:
        yield running
    for server in (lethe, evolution):
        server.stop()


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
        "/docs", "/docs/css/swagger-ui.css", "/openapi.json",
    ],
)  # fmt: skip
def test_what_is_lethes_alone_reaches_it(proxy: Proxy, target: str) -> None:
    """Its answers lead there: Location, the console's links, the keys of a receipt."""
    assert proxy.send("GET", target) == (200, f'"lethe {target}"')


@pytest.mark.parametrize("target", ["/metrics", "/health", "/health/ready", "/health/live"])
def test_figures_and_health_of_lethe_are_not_public(proxy: Proxy, target: str) -> None:
    """They are asked for at Lethe's own port; Evolution has such paths of its own."""
    assert proxy.send("GET", target) == (200, f'"evolution {target}"')


@pytest.mark.parametrize(
    "target",
    [
        "/", "/deletionsx", "/consoles", "/docsx", "/openapi.json5",
        "/instance/create", "/instance/connectionState/a", "/instance/deleted/a",
        "/message/sendText/a%2Fb?x=1",
        "/chat/delete/a", "/manager//x", "/instance/fetchInstances?instanceName=/instance/delete/a",
    ],
)  # fmt: skip
def test_everything_else_reaches_evolution_as_it_was_sent(proxy: Proxy, target: str) -> None:
    """Its own names as well."""
    assert proxy.send("GET", target) == (200, f'"evolution {target}"')
