"""Ports of servers: none is given to two of them, in one process or in several."""

import subprocess
import sys

from demo import ports

OTHER = "from demo import ports; print(ports.server_port(), flush=True); input()"


def test_a_port_belongs_to_the_process_that_has_given_it() -> None:
    """Until that one ends: its server may be down, and come back."""
    with subprocess.Popen([sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin
        assert other.stdout
        port = int(other.stdout.readline())
        meanwhile = ports.claim(port)
        other.communicate(b"\n")

    assert not meanwhile
    assert ports.claim(port)


def test_no_port_is_given_twice() -> None:
    """A server that has several takes them later."""
    given = [ports.server_port() for _ in range(50)]

    assert len(set(given)) == len(given)
