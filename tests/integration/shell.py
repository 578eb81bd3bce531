"""Runs `lethe` as a shell on the server would, in a process that has loaded it already."""

import os
import pty
import subprocess
import tempfile
from collections.abc import Mapping
from typing import IO

from demo.lethe import environment
from tests.system import System
from tests.warm_start import warm_process

_PATH = {"PATH": "/usr/bin:/bin"}


def lethe(
    system: System | None, *words: str, typed: str | None = None, seconds: float = 60, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run the command with the system's settings, or with none; typed is its standard input."""
    settings = environment(system.settings) if system else {}
    with tempfile.TemporaryFile() as pipe:
        pipe.write((typed or "").encode())
        pipe.seek(0)
        return _run(words, {**_PATH, **settings, **changes}, pipe.fileno(), seconds)


def at_a_terminal(system: System, *words: str, typed: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run the command with a terminal to be asked on; typed is what is typed there, Ctrl-D after it."""
    master, slave = pty.openpty()
    os.write(master, typed.encode() + b"\x04")  # read when it asks
    try:
        return _run(words, {**_PATH, **environment(system.settings)}, slave, seconds)
    finally:
        os.close(slave)
        os.close(master)


def _run(
    words: tuple[str, ...], env: Mapping[str, str], stdin: int, seconds: float
) -> subprocess.CompletedProcess[str]:
    with _text_file() as output, _text_file() as errors:
        code = warm_process().run(
            words, env, stdin=stdin, stdout=output.fileno(), stderr=errors.fileno(), seconds=seconds
        )
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(["lethe", *words], code, output.read(), errors.read())


def _text_file() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8")
