"""What is too large or no HTTP is refused in the documented shape, and no page lets a stranger in."""

import json
import re
import socket

import pytest

from demo.evolution.seed import seed_instance
from tests.system import ADMIN_KEY, System


def raw(system: System, request: str) -> tuple[int, dict[str, str], str]:
    """Send these characters; status, headers and body of the answer."""
    host, port = system.settings.bind.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request.encode("latin-1"))
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = received.decode().partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def get(*headers: str, target: str = "/deletions") -> str:
    """A request as text."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""])


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (get(target="/deletions?" + "x" * 8300), 414),
        (get(target="/deletions?" + "x" * 100_000), 414),
        (get("X-Long: " + "x" * 9000), 431),
        (get("X-Long: " + "x" * 200_000), 431),
        (get(*(f"X-{number}: y" for number in range(65))), 431),
        (get("apikey : planted-secret"), 400),
        (get("planted secret: x"), 400),
        (get("apikey: planted\x00secret"), 400),
        ("DELETE /instance/delete/planted-secret HTTP/9.9\r\n\r\n", 400),
        ("DELETE /instance/delete/planted-secret\r\n\r\n", 400),
        ("PLANTED SECRET\r\n\r\n", 400),
        (get("Transfer-Encoding: planted-secret"), 400),
        (get("Content-Length: planted-secret"), 400),
        (get("Expect: planted-secret"), 417),
    ],
    ids=lambda value: str(value)[:40].encode("unicode_escape").decode(),
)
def test_what_the_server_refuses_has_the_documented_shape(
    shared_system: System, request_text: str, status: int
) -> None:
    """And neither the answer nor the log repeats any of it: it can be a key, or a phone number."""
    answered, headers, body = raw(shared_system, request_text)

    assert (answered, headers["content-type"]) == (status, "application/json; charset=utf-8")
    assert json.loads(body)["error"] is True
    assert set(json.loads(body)) == {"error", "message"}
    log = (shared_system.folder / "web.log").read_text().lower()
    assert headers["x-request-id"] in log
    for secret in ("planted", "xxxx"):
        assert secret not in body.lower()
        assert secret not in log


def test_as_many_headers_as_are_allowed_pass(shared_system: System) -> None:
    """Of any size below the limit."""
    headers = [f"X-{number}: y" for number in range(60)] + [f"apikey: {ADMIN_KEY}", "X-Long: " + "x" * 8000]

    assert raw(shared_system, get(*headers))[0] == 200


def test_no_answer_names_the_servers_version(shared_system: System) -> None:
    """Who looks for an old one learns nothing."""
    for path in ("/docs", "/deletions", "/nothing"):
        server = raw(shared_system, get(target=path))[1].get("server", "")

        assert not re.search(r"\d", server)


def test_a_page_lets_nothing_in_but_what_it_needs(shared_system: System) -> None:
    """Swagger UI runs its own scripts only, the receipt none; nobody frames, sniffs or keeps them."""
    seed_instance(shared_system.deployment, "on a page")
    deletion_id = shared_system.delete("on a page", Prefer="respond-async").body["response"]["deletionId"]
    shared_system.wait_for(deletion_id)

    docs = shared_system.send("GET", "/docs", key=None)
    receipt = shared_system.send("GET", f"/deletions/{deletion_id}/receipt?format=html")

    assert "script-src 'self';" in docs.headers["Content-Security-Policy"]
    assert "script-src" not in receipt.headers["Content-Security-Policy"]
    for page in (docs, receipt):
        assert page.status == 200
        assert "default-src 'none'; " in page.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"


def test_every_answer_keeps_browsers_from_guessing(shared_system: System) -> None:
    """JSON stays JSON, also when a name in it looks like a page."""
    for path in ("/health/live", "/metrics", "/nothing"):
        assert shared_system.send("GET", path).headers["X-Content-Type-Options"] == "nosniff"
