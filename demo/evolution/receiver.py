"""A webhook receiver that remembers what it got, and can be told to fail or to hang."""

import json
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import click

from demo.evolution.serving import Answer, Request, Server


@dataclass(frozen=True)
class Received:
    """One webhook as it came; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


class Receiver:
    """Takes webhooks on every path; GET /received gives them back."""

    def __init__(self, port: int = 0, *, tell: Callable[[Received], None] = lambda _: None) -> None:
        self.received: list[Received] = []
        self.answer_status = 200
        self.hang_seconds = 0.0
        self._tell = tell
        self._server = Server(self._answer, port)

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def _answer(self, request: Request) -> Answer:
        if request.method == "GET":
            return Answer(200, [asdict(received) for received in self.received])
        received = Received(request.target, request.headers, _read(request.body))
        self.received.append(received)
        self._tell(received)
        time.sleep(self.hang_seconds)  # the fault itself: a receiver that hangs
        return Answer(self.answer_status, {"received": len(self.received)})


def _read(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    return content if isinstance(content, dict) else {"raw": body.decode(errors="replace")}


@click.command()
@click.option("--port", type=int, required=True)
def main(port: int) -> None:
    """Print every webhook as one line of JSON until a signal ends it."""
    ended = threading.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: ended.set())
    receiver = Receiver(port, tell=lambda received: print(json.dumps(asdict(received)), flush=True))
    receiver.start()
    ended.wait()
    receiver.stop()


if __name__ == "__main__":
    main()
