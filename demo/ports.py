"""Ports for servers that are told theirs before they start."""

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path
from typing import IO

# Below the range that systems take the ports of outgoing connections from: nobody grabs one before its server does.
FIRST, LAST = 20_000, 32_000
_chance = random.SystemRandom()  # Hypothesis seeds the other one alike in every process
_given: set[int] = set()  # by this process: a server with several ports takes them later


def server_port() -> int:
    """A TCP port on loopback that was free a moment ago; by chance, so that two demos side by side don't collide.

    It gives no port twice, and none that another process of this account has given and may still need: the port of a
    server that is down until it is started again looks free.
    """
    while True:
        port = _chance.randrange(FIRST, LAST)
        if port not in _given and claim(port) and _is_free(port):
            _given.add(port)
            return port


def claim(port: int) -> bool:
    """Lock the port's byte of a file, until this process ends; False when another process has locked it."""
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):  # as the system calls a lock of another
        return False
    return True


@cache
def _claims() -> IO[bytes]:
    # Never closed: these locks end when the process closes the file.
    return (Path(tempfile.gettempdir()) / f"lethe-ports-{os.getuid()}").open("ab")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
