"""Notes the signals that ask the demo to end, so that it ends between two things and never inside one."""

import signal
import time
from collections.abc import Callable
from types import FrameType

_received: list[int] = []


class Interrupted(Exception):
    """A signal asked the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def listen() -> None:
    """From now on Ctrl-C, SIGTERM and a closed terminal are noted, and what was started can be stopped in order."""
    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup wants the demo to outlive its terminal.
        if wanted != signal.SIGHUP or signal.getsignal(wanted) != signal.SIG_IGN:
            signal.signal(wanted, _note)


def check() -> None:
    """Raise Interrupted when a signal has come."""
    if _received:
        raise Interrupted(_received[0])


def checked(ready: Callable[[], bool]) -> Callable[[], bool]:
    """The same question, which a signal ends."""

    def ask() -> bool:
        check()
        return ready()

    return ask


def sleep(seconds: float) -> None:
    """Sleep until the time is over or a signal comes."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        check()
        time.sleep(min(left, 0.1))  # a signal is looked for in between, for its handler only notes it


def _note(number: int, _: FrameType | None) -> None:
    _received.append(number)
