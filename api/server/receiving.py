"""Whole requests and responses without a thread: what a slow client costs is a socket and its bytes."""

import errno
import socket
import time
from enum import Enum, auto
from typing import Any

from gunicorn.http import body, get_parser
from gunicorn.http.errors import ChunkMissingTerminator, NoMoreData

LARGEST_BODY = 64 * 1024
LARGEST_LIST = 1024 * 1024  # of an order with many names
_WITH_LISTS = ("POST", "/deletions")
_MOST_LOOKS = 100  # at one request: each of them reads all that has come so far
_RECV_SECONDS = 5.0  # nothing is left to be received when a thread takes over; this is for what nobody has foreseen
_END_OF_HEAD = b"\r\n\r\n"


class State(Enum):
    """How much of a request has come."""

    INCOMPLETE = auto()
    COMPLETE = auto()  # or wrong already: gunicorn's parser says so at once
    TOO_LARGE = auto()


class Incoming:
    """The bytes of one request, until it is complete."""

    def __init__(self, config: Any, client: Any) -> None:
        self.data = bytearray()
        self.began_at = time.monotonic()
        self.wants_continue = False  # the client waits for `100 Continue` before it sends the body
        self._config, self._client = config, client
        self._longest_head = config.limit_request_fields * (config.limit_request_field_size + 2)
        self._looks = 0
        self._searched = 0
        self._length: int | None = None  # of the whole request, once its head is known
        self._is_chunked = False
        self._largest = LARGEST_BODY

    def add(self, data: bytes) -> State:
        """Add what has come."""
        self.data += data
        if self._length is None and not self._is_chunked:
            if not self._has_head():
                return State.INCOMPLETE
            return self._look()
        if self._is_chunked:
            return self._look_at_chunks()
        return State.COMPLETE if len(self.data) >= (self._length or 0) else State.INCOMPLETE

    def _has_head(self) -> bool:
        """Whether the head has ended, or is longer than the parser accepts."""
        found = self.data.find(_END_OF_HEAD, max(0, self._searched - len(_END_OF_HEAD))) >= 0
        self._searched = len(self.data)
        is_long_line = self._searched > self._config.limit_request_line + 2 and b"\r\n" not in self.data
        return found or is_long_line or self._searched > self._longest_head

    def _look(self) -> State:
        self._looks += 1
        if self._looks > _MOST_LOOKS:
            return State.TOO_LARGE
        parser = get_parser(self._config, iter([bytes(self.data)]), self._client)
        try:
            request = next(parser)
            reader = request.body.reader
            self._largest = LARGEST_LIST if (request.method, request.path) == _WITH_LISTS else LARGEST_BODY
            if isinstance(reader, body.ChunkedReader):
                self._is_chunked = True
                self.wants_continue = request._expected_100_continue
                return self._look_at_chunks()
        except NoMoreData:
            return State.INCOMPLETE
        except Exception:  # whatever it is: the parser that answers the request says it again
            return State.COMPLETE
        length = reader.length if isinstance(reader, body.LengthReader) else 0
        if length > self._largest:
            return State.TOO_LARGE
        self._length = len(self.data) - len(parser.unreader.take_buffered()) + length
        self.wants_continue = request._expected_100_continue
        return State.COMPLETE if len(self.data) >= self._length else State.INCOMPLETE

    def _look_at_chunks(self) -> State:
        if len(self.data) > self._longest_head + 4 * self._largest:  # with the sizes of its chunks
            return State.TOO_LARGE
        if not self.data.endswith(_END_OF_HEAD):
            return State.INCOMPLETE
        self._looks += 1
        if self._looks > _MOST_LOOKS:
            return State.TOO_LARGE
        try:
            request = next(get_parser(self._config, iter([bytes(self.data)]), self._client))
            size = len(request.body.read(self._largest + 1))
        except NoMoreData:
            return State.INCOMPLETE
        except ChunkMissingTerminator as error:
            return State.INCOMPLETE if error.term in (b"", b"\r") else State.COMPLETE
        except Exception:  # as above
            return State.COMPLETE
        return State.TOO_LARGE if size > self._largest else State.COMPLETE


class ClientSocket(socket.socket):
    """A client's socket that no thread waits for: what the client does not take yet is kept in `unsent`."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(fileno=accepted.detach())
        self.unsent = bytearray()

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send what can be sent at once, and keep the rest."""
        self.unsent += data
        self.flush()

    def flush(self) -> bool:
        """Send of the rest what can be sent at once; returns whether nothing is left."""
        while self.unsent:
            try:
                sent = self.send(self.unsent, socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError, TimeoutError):
                return False
            del self.unsent[:sent]
        return True

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive; a client that sends nothing for some seconds has gone."""
        if self.gettimeout() is None:
            self.settimeout(_RECV_SECONDS)
        try:
            return super().recv(size, flags)
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the client is too slow") from error
