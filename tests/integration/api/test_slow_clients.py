"""Clients that send or read slowly keep nobody waiting, and are closed; they need no key for it."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
import requests

from api.server.gunicorn_worker import RECEIVE_SECONDS
from api.server.receiving import LARGEST_BODY, LARGEST_LIST
from demo.evolution.seed import seed_instance
from demo.processes import wait_until
from tests.system import ADMIN_KEY, System

CLIENTS = 80  # more than two processes have threads
BODY = b'{"instanceName": "nobody", "dryRun": true}'
POST = (
    b"POST /deletions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\napikey: " + ADMIN_KEY.encode() + b"\r\n"
)
BEGINNINGS = {
    "nothing": b"",
    "request line": b"GET /health/li",
    "header": b"GET /health/live HTTP/1.1\r\nX-Slow: ",
    "no end of the headers": b"GET /health/live HTTP/1.1\r\nHost: x\r\n",
    "body": POST + b"Content-Length: 100\r\n\r\n{",
    "chunked": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "chunks without an end": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    "continue": POST + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
    "one behind another": b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /health/live HTTP/1.1\r\nX-Slow",
}


@pytest.fixture(scope="module")
def system(make_system: Callable[..., System]) -> Iterator[System]:
    """One process, with the usual number of threads."""
    made = make_system()
    made.start("web")
    yield made
    made.close()


@contextmanager
def clients(system: System, beginning: bytes, number: int = CLIENTS) -> Iterator[list[socket.socket]]:
    """So many connections that have sent this."""
    host, port = system.settings.bind.split(":")
    with ExitStack() as stack:
        opened = []
        for _ in range(number):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(RECEIVE_SECONDS + 20)
            client.connect((host, int(port)))
            opened.append(stack.enter_context(client))
            client.sendall(beginning)
        yield opened


def seconds_of(system: System, path: str = "/health/live") -> float:
    """How long others wait for an answer."""
    began = time.monotonic()
    assert requests.get(f"{system.url}{path}", timeout=10).status_code == 200
    return time.monotonic() - began


def exchange(system: System, *pieces: bytes) -> bytes:
    """Send these one after the other; all that is answered."""
    with clients(system, b"", 1) as (client,):
        for piece in pieces:
            client.sendall(piece)
            time.sleep(0.05)  # so that each arrives alone
        received = b""
        while data := client.recv(65536):
            received += data
        return received


@pytest.mark.parametrize("beginning", list(BEGINNINGS.values()), ids=list(BEGINNINGS))
def test_slow_senders_keep_nobody_waiting(system: System, beginning: bytes) -> None:
    """However far their requests have come."""
    with clients(system, beginning) as opened:
        for client in opened[:20]:
            client.sendall(b"x" if beginning else b"")
        times = [seconds_of(system) for _ in range(5)]

    assert max(times) < 3


def test_more_slow_clients_than_a_process_takes_keep_nobody_waiting(system: System) -> None:
    """The oldest of them are dropped."""
    with clients(system, BEGINNINGS["header"], 600):
        times = [seconds_of(system) for _ in range(5)]

    assert max(times) < 3


def test_a_deploy_waits_for_answers_and_not_for_idle_connections(make_system: Callable[..., System]) -> None:
    """A call that waits is answered, and the process ends soon after."""
    system = make_system()
    system.start("web")
    seed_instance(system.deployment, "deployed")
    with clients(system, b"", 10), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(system.delete, "deployed", Prefer="wait=4")
        wait_until(lambda: bool(system.send("GET", "/deletions").body["deletions"]), 10, "the call")
        began = time.monotonic()
        system.stop()
        seconds = time.monotonic() - began

    assert waiting.result().status == 202
    assert seconds < 12


def test_clients_that_read_nothing_keep_nobody_waiting(system: System) -> None:
    """Of a file that no buffer of the system holds."""
    with clients(system, b"GET /docs/js/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"):
        time.sleep(1)  # until the responses are under way
        times = [seconds_of(system) for _ in range(5)]

    assert max(times) < 3


def test_clients_that_do_not_close_keep_nobody_waiting(system: System) -> None:
    """After a response that ends the connection."""
    with clients(system, b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 20):
        times = [seconds_of(system) for _ in range(5)]

    assert max(times) < 3


def test_a_slow_reader_gets_all_of_it(system: System) -> None:
    """In pieces, as it takes them."""
    whole = requests.get(f"{system.url}/docs/js/swagger-ui-bundle.js", timeout=30).content
    with clients(system, b"GET /docs/js/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 1) as (
        one,
    ):
        received = b""
        time.sleep(1)  # nothing is read meanwhile
        while data := one.recv(65536):
            received += data

    assert received.partition(b"\r\n\r\n")[2] == whole


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in BEGINNINGS if kind != "one behind another"])
def test_a_request_has_to_come_in_time(system: System, kind: str) -> None:
    """408 in the documented shape, and the connection ends; without a byte it only ends."""
    began = time.monotonic()
    with clients(system, BEGINNINGS[kind], 1) as (client,):
        received = b""
        while data := client.recv(65536):
            received += data
            assert time.monotonic() - began < RECEIVE_SECONDS + 10
    seconds = time.monotonic() - began

    assert RECEIVE_SECONDS - 1 < seconds < RECEIVE_SECONDS + 5
    head, _, body = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    if kind == "nothing":
        assert received == b""
    else:
        assert head.startswith(b"HTTP/1.1 408 ")
        assert json.loads(body) == {"error": True, "message": "Request Timeout"}


@pytest.mark.slow
def test_trickling_does_not_prolong_it(system: System) -> None:
    """A byte a second, as slow-loris does."""
    began = time.monotonic()
    with clients(system, b"GET /health/live HTTP/1.1\r\nX-Slow: ", 1) as (client,):
        client.settimeout(1)
        answer = b""
        while not answer and time.monotonic() - began < RECEIVE_SECONDS + 10:
            client.sendall(b"x")
            try:
                answer = client.recv(65536)
            except TimeoutError:
                continue

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_request_in_small_pieces_is_answered(system: System) -> None:
    """Wherever it is cut; with a length, in chunks, and two behind one another."""
    ends = b"Connection: close\r\n"
    whole = POST + ends + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    chunks = b"".join(b"%x\r\n%c\r\n" % (1, byte) for byte in BODY) + b"0\r\n\r\n"
    chunked = POST + ends + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    trailers = chunked.removesuffix(b"\r\n") + b"X-Trailer: a\r\n\r\n"
    two = POST + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY + whole
    for request in (whole, chunked, trailers, two):
        for at in (1, 20, len(POST), len(request) // 2, len(request) - 10, len(request) - 2):
            received = exchange(system, request[:at], request[at:])

            assert received.count(b"HTTP/1.1 400 ") == (2 if request is two else 1), (request, at, received)
            assert b'"nobody\\" instance does not exist' in received


def test_who_waits_for_continue_is_told_to(system: System) -> None:
    """And then answered."""
    head = POST + b"Connection: close\r\nExpect: 100-continue\r\n" + f"Content-Length: {len(BODY)}\r\n\r\n".encode()
    received = exchange(system, head, BODY)

    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert b"HTTP/1.1 400 " in received


@pytest.mark.parametrize("method", ["POST /deletions", "DELETE /instance/delete/nobody", "GET /health/live", "POST /x"])
@pytest.mark.parametrize(
    "make_body",
    [
        lambda most: b"Content-Length: %d\r\n\r\n" % (most + 1) + b"x" * (most + 1),
        lambda most: b"Content-Length: %d\r\n\r\n" % (most + 1),
        lambda _: b"Content-Length: 99999999999999\r\n\r\nx",
        lambda _: b"Transfer-Encoding: chunked\r\n\r\n" + b"fff\r\n" + b"x" * 4095 + b"\r\n",
        lambda most: b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * (most + 1) + b"0\r\n\r\n",
        lambda most: b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % (2 * most) + b"x" * 2 * most + b"\r\n0\r\n\r\n",
    ],
    ids=["length", "length alone", "far longer", "endless", "small chunks", "large chunk"],
)
def test_a_body_above_the_limit_is_413(system: System, method: str, make_body: Callable[[int], bytes]) -> None:
    """With a length or in chunks, with a key or without, on every endpoint; it is not read to its end.

    A list of names may be longer than other bodies.
    """
    head = f"{method} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
    most = LARGEST_LIST if method == "POST /deletions" else LARGEST_BODY
    body = make_body(most)
    with clients(system, head, 1) as (client,):
        received = b""
        try:
            client.sendall(body)
            for _ in range(most // 3000 if body.endswith(b"x\r\n") and b"fff" in body[:40] else 0):
                client.sendall((b"fff\r\n" + b"x" * 4095 + b"\r\n") * 10)
        except OSError:  # it was answered and closed meanwhile
            pass
        while data := client.recv(65536):
            received += data

    assert received.startswith(b"HTTP/1.1 413 ")
    assert json.loads(received.partition(b"\r\n\r\n")[2]) == {"error": True, "message": "Request Entity Too Large"}


@pytest.mark.parametrize("size", [65536, 65000])
def test_a_body_below_the_limit_is_read(system: System, size: int) -> None:
    """Both with a length and in chunks."""
    body = BODY[:-1] + b" " * (size - len(BODY)) + b"}"
    head = POST + b"Connection: close\r\n"
    with_length = exchange(system, head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at : at + 999]), body[at : at + 999]) for at in range(0, size, 999))
    in_chunks = exchange(system, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")

    for received in (with_length, in_chunks):
        assert b'"nobody\\" instance does not exist' in received
