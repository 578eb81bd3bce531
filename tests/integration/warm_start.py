"""A process that has loaded the `lethe` command once and forks for each call: a call costs its own work alone.

Run as `python -m tests.integration.warm_start`, with one end of a socket pair as standard input. A packet is a call:
words and environment as JSON, the three standard files, and a pipe for the command's process id and its exit code.
"""

import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import boto3

ROOT = Path(__file__).parents[2]
LONGEST_CALL_BYTES = 100_000
LOADED = ("cli", "tasks", "shared")
RUN_WHEN_LOADED = ("__main__", "migrations")


class WarmProcess:
    """The process, for those who call; it ends with them."""

    def __init__(self) -> None:
        self._calls, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [sys.executable, "-m", "tests.integration.warm_start"]
        with theirs:
            # A session of its own: a Ctrl-C is for those who call.
            subprocess.Popen(argv, stdin=theirs, cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, start_new_session=True)

    def run(
        self, words: Sequence[str], env: Mapping[str, str], *, stdin: int, stdout: int, stderr: int, seconds: float
    ) -> int:
        """Run `lethe` with these words and nothing but this environment; its exit code, or TimeoutExpired."""
        read, write = os.pipe()
        call = json.dumps({"words": words, "env": dict(env)}).encode()
        socket.send_fds(self._calls, [call], [stdin, stdout, stderr, write])
        os.close(write)
        with os.fdopen(read, "rb", buffering=0) as told:
            process_id = int(told.readline())
            if not select.select([told], [], [], seconds)[0]:
                os.kill(process_id, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["lethe", *words], seconds)
            return int(told.readline())


def main() -> None:
    """Take calls until nobody is there to call."""
    for package in map(importlib.import_module, LOADED):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not set(RUN_WHEN_LOADED).intersection(module.name.split(".")):
                importlib.import_module(module.name)
    boto3.client("s3", region_name="us-east-1")  # the description of S3 stays with the session, as in a worker
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for a command
    calls = socket.socket(fileno=0)
    while True:
        call, files, *_ = socket.recv_fds(calls, LONGEST_CALL_BYTES, 4)
        if not call:
            return
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            carry_out(json.loads(call), files)
        for file in files:
            os.close(file)


def carry_out(call: Mapping[str, Any], files: Sequence[int]) -> NoReturn:
    """Run the command in a process of its own, and tell how it ended."""
    from cli.__main__ import run

    *standard, told = files
    process_id = os.fork()
    if process_id == 0:
        os.close(told)
        become(call, standard)
        os._exit(end_of(run))  # the interpreter's own clean-up takes longer than most commands
    os.write(told, f"{process_id}\n".encode())
    _, status = os.waitpid(process_id, 0)
    os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(call: Mapping[str, Any], standard: Sequence[int]) -> None:
    """What the interpreter does at the start of a program."""
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(call["env"])
    sys.argv = ["lethe", *call["words"]]
    sys.stdin = sys.__stdin__ = os.fdopen(0, encoding="utf-8", errors="surrogateescape")
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape")
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def end_of(command: Callable[[], None]) -> int:
    """The exit code that the interpreter gives a program that ends like this."""
    try:
        command()
        sys.stdout.flush()
    except SystemExit as error:
        sys.stdout.flush()
        return int(error.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
