"""Ports for servers that are told theirs before they start."""

import random
import socket

# Below the range that systems take the ports of outgoing connections from: nobody grabs one before its server does.
FIRST, LAST = 20_000, 32_000
_chance = random.SystemRandom()  # Hypothesis seeds the other one alike in every process
_given: set[int] = set()  # by this process: a server with several ports takes them later


def server_port() -> int:
    """A TCP port on loopback that was free a moment ago; by chance, so that two demos side by side don't collide.

    It gives no port twice.
    """
    while True:
        port = _chance.randrange(FIRST, LAST)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _given.add(port)
            return port
