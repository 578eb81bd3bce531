"""A process that has imported the product once and forks for each program: a program costs its own work alone.

Run as `python -m tests.warm_start`, with one end of a socket pair as standard input. A packet is a call: program, words
and environment as JSON, the three standard files, and a pipe for the program's process id and its exit code. Programs
are `lethe`, or a module as for `python -m`: gunicorn and celery run as if an interpreter had just begun.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import boto3

from demo.processes import Process
from tests import leftovers

ROOT = Path(__file__).parents[1]
LONGEST_CALL_BYTES = 100_000
PACKAGES = ("api", "cli", "tasks", "shared", "worker")
SERVERS = (
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.worker.consumer",
    "celery.worker.pidbox",
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread",
    "kombu.transport.redis",
)
# They run something, or read the settings: each program imports them itself.
NOT_IMPORTED = {"__main__", "migrations", "gunicorn_config", "celery_tasks"}


class Forked:
    """One program that was started, as subprocess.Popen would show it."""

    def __init__(self, told: int) -> None:
        self._told = os.fdopen(told, "rb", buffering=0)
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code if it has ended."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; the exit code, or TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired([str(self.pid)], timeout or 0)
            self.returncode = int(self._told.readline())
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it, unless the program has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class WarmProcess:
    """The process, for those who call; it ends with them."""

    def __init__(self) -> None:
        self._calls, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [sys.executable, "-m", "tests.warm_start"]
        # What it forks has this environment for those who look into /proc, and is ended with the run by its mark.
        env = {"PATH": "/usr/bin:/bin", leftovers.VARIABLE: os.environ.get(leftovers.VARIABLE, "")}
        with theirs:
            # A session of its own: a Ctrl-C is for those who call.
            subprocess.Popen(argv, stdin=theirs, cwd=ROOT, env=env, start_new_session=True)

    def start(
        self, program: str, words: Sequence[str], env: Mapping[str, str], *, stdin: int, stdout: int, stderr: int
    ) -> Forked:
        """Start it with these words and nothing but this environment, as the leader of a session of its own."""
        read, write = os.pipe()
        call = json.dumps({"program": program, "words": words, "env": dict(env)}).encode()
        socket.send_fds(self._calls, [call], [stdin, stdout, stderr, write])
        os.close(write)
        return Forked(read)

    def run(
        self, words: Sequence[str], env: Mapping[str, str], *, stdin: int, stdout: int, stderr: int, seconds: float
    ) -> int:
        """Run `lethe`; its exit code, or TimeoutExpired."""
        started = self.start("lethe", words, env, stdin=stdin, stdout=stdout, stderr=stderr)
        try:
            return started.wait(seconds)
        except subprocess.TimeoutExpired:
            os.kill(started.pid, signal.SIGKILL)
            started.wait()
            raise


@cache
def warm_process() -> WarmProcess:
    """The one of this process."""
    return WarmProcess()


def start_module(name: str, module: str, words: Sequence[str], *, log: Path, env: Mapping[str, str]) -> Process:
    """Start `python -m module` in the repository; env is added to ours, both its outputs go to the log."""
    with log.open("ab") as output, open(os.devnull, "rb") as nothing:
        files = {"stdin": nothing.fileno(), "stdout": output.fileno(), "stderr": output.fileno()}
        popen = warm_process().start(module, words, {**os.environ, **env}, **files)
    return Process(name, popen, log)  # type: ignore[arg-type] # it has what a Process uses


def main() -> None:
    """Take calls until nobody is there to call."""
    for package in map(importlib.import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not NOT_IMPORTED.intersection(module.name.split(".")):
                importlib.import_module(module.name)
    for name in SERVERS:
        importlib.import_module(name)
    boto3.client("s3", region_name="us-east-1")  # the description of S3 stays with the session, as in a worker
    assert threading.active_count() == 1, "a fork would lose the other threads"
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for a program
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
    """Run the program in a process of its own, and tell how it ended."""
    *standard, told = files
    process_id = os.fork()
    if process_id == 0:
        os.close(told)
        become(call, standard)
        code = end_of(entry_of(call["program"]))
        threading._shutdown()  # type: ignore[attr-defined] # waits for threads, as the interpreter does
        atexit._run_exitfuncs()
        os._exit(code)  # without the clean-up of all objects, which takes longer than most commands
    for file in (0, *standard):
        os.close(file)
    os.write(told, f"{process_id}\n".encode())
    _, status = os.waitpid(process_id, 0)
    with suppress(BrokenPipeError):  # nobody wants to know
        os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def entry_of(program: str) -> Callable[[], object]:
    """What to run."""
    if program == "lethe":
        from cli.__main__ import run

        return run
    return lambda: runpy.run_module(program, run_name="__main__", alter_sys=True)


def become(call: Mapping[str, Any], standard: Sequence[int]) -> None:
    """What the operating system and the interpreter do at the start of a program."""
    os.setsid()
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(call["env"])
    time.tzset()
    sys.argv = [call["program"], *call["words"]]
    sys.stdin = sys.__stdin__ = os.fdopen(0, encoding="utf-8", errors="surrogateescape")
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape")
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def end_of(program: Callable[[], object]) -> int:
    """The exit code that the interpreter gives a program that ends like this."""
    try:
        program()
        sys.stdout.flush()
    except SystemExit as error:
        sys.stdout.flush()
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
            return 1
        return error.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
