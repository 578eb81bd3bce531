"""Ends what a run of the tests has started and left behind, as after a Ctrl-C.

A process belongs to the run if its environment has the mark. It waits on standard input, which closes with the run.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

VARIABLE = "MARK_OF_TEST_RUN"
_watching: list[subprocess.Popen[bytes]] = []  # its standard input stays open as long as this process lives


def watch() -> None:
    """Mark all that this process starts from now on, and have it ended with this process, however that ends."""
    os.environ[VARIABLE] = str(uuid4())
    argv = [sys.executable, "-S", __file__, os.environ[VARIABLE]]
    # In a session of its own: a Ctrl-C does not reach it.
    _watching.append(subprocess.Popen(argv, stdin=subprocess.PIPE, env={}, start_new_session=True))


def main(mark: str) -> None:
    """Wait for the end of the run, then kill what bears its mark."""
    sys.stdin.read()
    marked = f"{VARIABLE}={mark}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if marked in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
