"""Child processes that are started in a session of their own, awaited and stopped one by one."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

TAIL_BYTES = 2000


class NotReady(Exception):
    """Something that was started did not become ready in time."""


@dataclass(frozen=True)
class Process:
    """One child process, the leader of its own session; both its outputs go to the log."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: int | None = None,
        group: int | None = None,
    ) -> Self:
        """Start argv, as another user when one is given (root only); env is added to ours."""
        with log.open("ab") as output:
            popen = subprocess.Popen(
                [str(part) for part in argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
            )
        return cls(name, popen, log)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def is_running(self) -> bool:
        return self.popen.poll() is None

    def stop(self, timeout: float = 10, *, ask: signal.Signals = signal.SIGTERM) -> int:
        """Ask the leader to end; kill its group if it has not after timeout seconds. Its exit code."""
        if self.is_running():
            # The leader alone: a pool child that gets the signal too would die in the middle of its work.
            self.popen.send_signal(ask)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Kill the whole process group at once; its leader's exit code."""
        if self.is_running():
            os.killpg(self.pid, signal.SIGKILL)
        return self.popen.wait()

    def tail(self) -> str:
        """The end of the log."""
        with self.log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - TAIL_BYTES))
            return log.read().decode(errors="replace").strip()


def wait_until(ready: Callable[[], bool], seconds: float, what: str, *, process: Process | None = None) -> None:
    """Wait for ready(); NotReady, with the log's tail, when the time is over or the process has ended."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process and not process.is_running():
            raise NotReady(f"{what}: {process.name} ended with code {process.popen.poll()}\n{process.tail()}")
        if time.monotonic() > deadline:
            raise NotReady(f"{what}: not within {seconds:g} s" + (f"\n{process.tail()}" if process else ""))
        time.sleep(0.02)
