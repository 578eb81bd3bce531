"""gunicorn's worker: slow clients take no thread, and invalid HTTP is answered in the documented shape."""

import json
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from gunicorn import util
from gunicorn.http import errors as http
from gunicorn.workers.gthread import ThreadWorker

from api.guards import loop_guard
from api.server.receiving import ClientSocket, Incoming, State
from shared import logs

log = logs.get(__name__)
_STATUSES: dict[type[Exception], HTTPStatus] = {
    http.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    http.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    http.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}
_MESSAGES = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Request Entity Too Large"}  # newer Pythons call it otherwise
RECEIVE_SECONDS = 15.0  # from the first byte of a request, or its connection, to its last
SEND_SECONDS = 30.0  # for a response that the client does not take at once
_LINGER_SECONDS = 2.0  # for the client to close its side, so that it has read the response
_MOST_BYTES = 32 * 1024 * 1024  # of the unfinished requests of a process, and of its responses; beyond, some go
_AT_ONCE = 64 * 1024


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn has no type information
    """Requests are received, and responses sent, by the main thread: a thread of the pool only answers.

    gunicorn's own errors and logs would quote the request line or a header, and so a name or a key.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._receiving: dict[Any, Incoming] = {}  # the oldest connection first
        self._sending: dict[Any, None] = {}  # the oldest first, too
        self._ends: dict[Any, tuple[float, Callable[[], None]]] = {}  # when the main thread gives a connection up

    def enqueue_req(self, conn: Any) -> None:
        """Receive a request, and give it to a thread when it is complete; called by the main thread alone."""
        if self.cfg.is_ssl:  # the proxy before Lethe ends TLS
            super().enqueue_req(conn)
            return
        held = conn.parser.unreader.take_buffered() if conn.parser else b""  # of a request behind the one before
        if not isinstance(conn.sock, ClientSocket):
            conn.sock = ClientSocket(conn.sock)
        conn.sock.setblocking(False)
        self._receiving[conn] = Incoming(self.cfg, conn.client)
        self._watch(conn, selectors.EVENT_READ, partial(self._receive, conn), RECEIVE_SECONDS, self._on_slow(conn))
        if len(self._receiving) > self.worker_connections // 2:
            self._drop(next(iter(self._receiving)))  # a new client is more likely to be a fast one
        if held and conn in self._receiving:
            self._add(conn, held)
        elif conn in self._receiving:
            self._receive(conn)  # most requests are there already

    def handle(self, conn: Any) -> Any:
        """Answer a request that was received; runs in a thread."""
        received = vars(conn).pop("received", None)
        if received is not None:
            conn.data_ready = True
            conn.init()
            conn.parser.unreader.unread(received)
        return super().handle(conn)

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        """Send what the client has not taken yet, then wait for its next request or close."""
        if not isinstance(conn.sock, ClientSocket) or conn.sock.fileno() < 0:
            super().finish_request(conn, fs)
            return
        try:
            if conn.sock.flush():
                self._after_response(conn, fs)
                return
        except OSError:
            self._close(conn)
            return
        conn.sock.setblocking(False)
        give_up = partial(self._close, conn)
        self._watch(conn, selectors.EVENT_WRITE, partial(self._send, conn, fs), SEND_SECONDS, give_up)
        self._sending[conn] = None
        if sum(len(each.sock.unsent) for each in self._sending) > _MOST_BYTES:
            self._drop(next(iter(self._sending)))

    def murder_pending(self) -> None:
        """Give up connections whose time is over; called by the main loop."""
        now = time.monotonic()
        for give_up in [give_up for ends_at, give_up in self._ends.values() if ends_at <= now]:
            give_up()
        if not self.alive:  # a deploy does not wait for connections that nothing has come on
            for conn in [each for each, seen in self._receiving.items() if not seen.data]:
                if now - self._receiving[conn].began_at > _LINGER_SECONDS:
                    self._drop(conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a request that could not be parsed, or that the application did not answer."""
        status, request_id = status_of(exc), uuid4().hex
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("request failed", request_id=request_id, exc_info=exc)
        else:
            log.warning("request refused", request_id=request_id, reason=type(exc).__name__)
        with suppress(OSError):  # the client has disconnected
            util.write_nonblock(client, refusal(status, request_id))

    def _receive(self, conn: Any, _: object = None) -> None:
        try:
            data = conn.sock.recv(_AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._add(conn, data)
        else:
            self._drop(conn)

    def _add(self, conn: Any, data: bytes) -> None:
        incoming = self._receiving[conn]
        state = incoming.add(data)
        if state is State.INCOMPLETE:
            if incoming.wants_continue:
                incoming.wants_continue = False
                with suppress(OSError):
                    conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            if sum(len(each.data) for each in self._receiving.values()) > _MOST_BYTES:
                self._drop(max(self._receiving, key=lambda each: len(self._receiving[each].data)))
            return
        self._forget(conn)
        if state is State.TOO_LARGE:
            self._refuse(conn, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        conn.received = bytes(incoming.data)
        super().enqueue_req(conn)

    def _on_slow(self, conn: Any) -> Callable[[], None]:
        def refuse() -> None:
            has_begun = bool(self._receiving[conn].data)
            self._forget(conn)
            if has_begun:
                self._refuse(conn, HTTPStatus.REQUEST_TIMEOUT)
            else:
                self._close(conn)

        return refuse

    def _refuse(self, conn: Any, status: HTTPStatus) -> None:
        request_id = uuid4().hex
        log.warning("request refused", request_id=request_id, reason=status.phrase)
        with suppress(OSError):
            conn.sock.sendall(refusal(status, request_id))
        self._linger(conn)

    def _send(self, conn: Any, fs: "Future[Any]", _: object) -> None:
        try:
            if not conn.sock.flush():
                return
        except OSError:
            self._forget(conn)
            self._close(conn)
            return
        self._forget(conn)
        self._after_response(conn, fs)

    def _after_response(self, conn: Any, fs: "Future[Any]") -> None:
        if not fs.cancelled() and not fs.exception() and fs.result():
            super().finish_request(conn, fs)
        else:
            self._linger(conn)

    def _linger(self, conn: Any) -> None:
        """Close the connection when the client has closed its side, else soon; at once, the response may be lost."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        conn.sock.setblocking(False)
        self._watch(conn, selectors.EVENT_READ, partial(self._drain, conn), _LINGER_SECONDS, partial(self._close, conn))

    def _drain(self, conn: Any, _: object) -> None:
        with suppress(BlockingIOError, InterruptedError):
            try:
                if conn.sock.recv(_AT_ONCE):
                    return
            except BlockingIOError:
                raise
            except OSError:
                pass
            self._close(conn)

    def _watch(
        self, conn: Any, event: int, act: Callable[[Any], None], seconds: float, give_up: Callable[[], None]
    ) -> None:
        self._ends[conn] = time.monotonic() + seconds, give_up
        self.poller.register(conn.sock, event, act)

    def _forget(self, conn: Any) -> None:
        self._receiving.pop(conn, None)
        self._sending.pop(conn, None)
        if self._ends.pop(conn, None):
            with suppress(OSError, KeyError, ValueError):
                self.poller.unregister(conn.sock)

    def _drop(self, conn: Any) -> None:
        self._forget(conn)
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()


def status_of(error: Exception) -> HTTPStatus:
    """400 for errors of the parser, 500 for all others."""
    usual = HTTPStatus.BAD_REQUEST if isinstance(error, http.ParseException) else HTTPStatus.INTERNAL_SERVER_ERROR
    return _STATUSES.get(type(error), usual)


def refusal(status: HTTPStatus, request_id: str) -> bytes:
    """A complete HTTP response that closes the connection; with the same body as the application's."""
    is_internal = status is HTTPStatus.INTERNAL_SERVER_ERROR
    message = "Internal server error" if is_internal else _MESSAGES.get(status, status.phrase)
    body = json.dumps({"error": True, "message": message}, separators=(",", ":"))
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Connection: close",
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in loop_guard.HEADERS.items()),
        f"X-Request-Id: {request_id}",
    )
    return "\r\n".join((*head, "", body)).encode()
