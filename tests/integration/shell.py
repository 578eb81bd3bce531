"""Runs `lethe` as a shell on the server would."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from demo.lethe import environment
from tests.system import System

ROOT = Path(__file__).parents[2]


def lethe(
    system: System, *words: str, typed: str | None = None, seconds: float = 60, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run the command with the system's settings; typed is what somebody types into it."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *words],
        env={"PATH": "/usr/bin:/bin", **environment(system.settings), **changes},
        cwd=ROOT,
        input=typed or "",
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def at_a_terminal(system: System, *words: str, typed: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run the command with a terminal to be asked on; typed is what somebody types, Ctrl-D after it."""
    master, slave = pty.openpty()
    os.write(master, typed.encode() + b"\x04")  # read when it asks
    try:
        return subprocess.run(
            [sys.executable, "-m", "cli", *words],
            env={"PATH": "/usr/bin:/bin", **environment(system.settings)},
            cwd=ROOT,
            stdin=slave,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    finally:
        os.close(slave)
        os.close(master)
