"""One request, one trace, one request id: through the API, every step, and what is published later."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import itemgetter
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from demo.evolution.seed import seed_instance
from tasks.pipeline import NAMES
from tests.system import System, running

TRACE = "0af7651916cd43dd8448eb211c80319c"
ENDS = ("step done", "deletion succeeded")  # what a worker logs at the end of a step
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@dataclass
class Collector:
    """Takes spans as an OpenTelemetry collector does."""

    spans: list[tuple[int, str, str, dict[str, str]]] = field(default_factory=list)  # begin, name, trace, facts
    texts: list[bytes] = field(default_factory=list)

    def serve(self) -> ThreadingHTTPServer:
        """Answer on loopback."""
        collector = self

        class Taker(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        return ThreadingHTTPServer(("127.0.0.1", 0), Taker)

    def take(self, body: bytes) -> None:
        """Keep what one export holds."""
        self.texts.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                facts = {each.key: each.value.string_value for each in span.attributes}
                self.spans.append((span.start_time_unix_nano, span.name, span.trace_id.hex(), facts))


@pytest.fixture(scope="module")
def collector() -> Iterator[tuple[Collector, str]]:
    """A collector and its URL."""
    made = Collector()
    server = made.serve()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def lines(system: System, process: str) -> list[dict[str, Any]]:
    """What a process logged; Celery's banner and gunicorn's greeting come before."""
    written = (system.folder / f"{process}.log").read_text().splitlines()
    return [json.loads(line) for line in written if line.startswith("{")]


def test_one_trace_and_one_request_id_lead_through_all_steps(
    make_system: Callable[..., System], collector: tuple[Collector, str]
) -> None:
    """The caller's trace goes on; what is exported and logged names ids, never the instance."""
    taken, url = collector
    system = make_system(traces=True)
    name = "5511999990000"
    seed_instance(system.deployment, name, messages=3)
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    system.start("web", "worker", env=env)

    answer = system.delete(name, traceparent=PARENT)
    system.stop()

    ours = [(span, facts) for _, span, trace, facts in sorted(taken.spans, key=itemgetter(0)) if trace == TRACE]
    assert answer.status == 200
    assert [span for span, _ in ours if span in NAMES] == list(NAMES)
    assert any(span.startswith("DELETE /instance/delete/") for span, _ in ours)
    assert len({facts["deletion_id"] for span, facts in ours if span in NAMES}) == 1
    assert not [text for text in taken.texts if name.encode() in text]
    request_id = answer.headers["X-Request-Id"]
    steps = [line for line in lines(system, "worker") if line.get("event") in ENDS]
    assert [line["step"] for line in steps] == list(NAMES)
    assert {line["request_id"] for line in steps} == {request_id}
    assert {line["request_id"] for line in lines(system, "web") if line.get("event") == "accepted"} == {request_id}
    assert len({line["deletion_id"] for line in steps}) == 1


def test_what_the_reconciler_publishes_keeps_the_request_id(make_system: Callable[..., System]) -> None:
    """The first messages are lost with the queue: the ones that follow name the same request."""
    system = make_system()
    seed_instance(system.deployment, "a", messages=3)
    with running(system, "web"):
        answer = system.delete("a", Prefer="respond-async")
        with system.make_services().celery as app, app.connection_for_write() as connection:
            connection.default_channel.queue_purge("lethe")
        system.start("worker", "beat")
        system.wait_for(answer.body["response"]["deletionId"])

    steps = [line for line in lines(system, "worker") if line.get("event") in ENDS]
    assert {line["request_id"] for line in steps} == {answer.headers["X-Request-Id"]}
