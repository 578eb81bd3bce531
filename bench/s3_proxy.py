"""A proxy before an S3 server: it adds latency, and refuses what some servers refuse.

`python -m bench.s3_proxy TARGET PORT SECONDS [REFUSED...]` is one in a process of its own.
"""

import http.client
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, bytes]
Refuse = Callable[[str, Mapping[str, str]], Answer | None]  # by the kind of call and its headers
_KINDS = ("versions", "versioning", "uploads", "uploadId", "delete")
_PASSED_ON = ("content-type", "etag", "last-modified")


def refusal(status: int, code: str) -> Answer:
    """An answer as S3 servers give it."""
    return status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()


def kind_of(method: str, target: str) -> str:
    """A word for the call: `GET versions`, `POST delete`, `DELETE` of one object."""
    query = parse_qs(urlsplit(target).query, keep_blank_values=True)
    return " ".join([method, *(each for each in _KINDS if each in query)])


class S3Proxy:
    """The proxy, and how often each kind of call came."""

    def __init__(
        self,
        target: str,
        refuse: Refuse = lambda kind, headers: None,  # noqa: ARG005
        *,
        delay_seconds: float = 0,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        self._count_lock = threading.Lock()
        self._target = urlsplit(target).netloc
        self._refuse = refuse
        self._delay_seconds = delay_seconds
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.proxy = self
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def serve_forever(self) -> None:
        """Serve in this thread."""
        self._http.serve_forever()

    def answer(
        self, upstream: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        """What the server says, or the refusal."""
        kind = kind_of(method, target)
        with self._count_lock:
            self.calls[kind] += 1
            self._running[kind] += 1
            self.most_at_once[kind] = max(self.most_at_once[kind], self._running[kind])
        try:
            time.sleep(self._delay_seconds)  # the latency
            if refused := self._refuse(kind, headers):
                return refused[0], {"content-type": "application/xml"}, refused[1]
            upstream.request(method, target, body, dict(headers))
            answered = upstream.getresponse()
            content = answered.read()
            kept = {name: value for name, value in answered.getheaders() if _is_passed_on(name)}
            return answered.status, kept, content
        finally:
            with self._count_lock:
                self._running[kind] -= 1

    def connect(self) -> http.client.HTTPConnection:
        """A connection to the server; each client has its own."""
        return http.client.HTTPConnection(self._target, timeout=30)


def _is_passed_on(name: str) -> bool:
    return name.lower() in _PASSED_ON or name.lower().startswith("x-amz-")


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: S3Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a client that was killed closes its connections."""


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    _upstream: http.client.HTTPConnection | None = None

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self._upstream = self._upstream or self.server.proxy.connect()
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, kept, content = self.server.proxy.answer(self._upstream, self.command, self.path, headers, body)
        self.send_response(status)
        for name, value in {**kept, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    # The names that the base class calls.
    do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = _serve  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def main(target: str, port: str, seconds: str, *refused: str) -> None:
    """Serve until the process ends; refuse these kinds of calls as not implemented."""

    def refuse(kind: str, _: Mapping[str, str]) -> Answer | None:
        return refusal(501, "NotImplemented") if kind in refused else None

    S3Proxy(target, refuse, port=int(port), delay_seconds=float(seconds)).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
