"""A small threaded HTTP server on loopback, for the gateway and the receiver."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    """One call; the target is as it came, headers have lower-case names."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """A status and a body that becomes JSON."""

    status: int
    body: object


class Server:
    """Serves what answer() says until it is stopped; can be started again on the same port."""

    def __init__(self, answer: Callable[[Request], Answer], port: int = 0) -> None:
        self._answer = answer
        self._port = port
        self._http: _Http | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._http = _Http(("127.0.0.1", self._port), _Handler)
        self._http.answer = self._answer
        self._port = self._http.server_port
        threading.Thread(target=self._http.serve_forever, args=(0.05,), name="standin", daemon=True).start()

    def stop(self) -> None:
        """Close the port; calls that are being answered go on in the background."""
        if self._http:
            self._http.shutdown()
            self._http.server_close()
            self._http = None


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    # The default of 5 refuses calls that a busy test sends at once.
    request_queue_size = 128
    answer: Callable[[Request], Answer]


class _Handler(BaseHTTPRequestHandler):
    # HTTP/1.0 closes after each answer, so that a stopped server answers nobody on an old connection.
    server: _Http

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.answer(Request(self.command, self.path, headers, body))
        content = json.dumps(answer.body).encode()
        try:
            self.send_response(answer.status)
            self.send_header("content-type", "application/json; charset=utf-8")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()
        except OSError:
            # The caller has given up waiting; what it asked for has happened all the same.
            self.close_connection = True

    # The names that the base class calls.
    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _serve  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Stay silent: calls are recorded by those who answer them."""
