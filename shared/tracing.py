"""OpenTelemetry spans, when lethe[otel] is installed and LETHE_TRACES is on; else they do nothing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

HEADERS = ("traceparent", "tracestate")
_providers: list["TracerProvider"] = []  # empty, or the one of this process, made after the fork


def start(settings: Settings, process: str) -> None:
    """Start to send the spans of this process to OTEL_EXPORTER_OTLP_ENDPOINT."""
    if not settings.traces or _providers:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: f"lethe-{process}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _providers.append(provider)


def stop() -> None:
    """Send the remaining spans, before the process ends."""
    while _providers:
        _providers.pop().shutdown()


@contextmanager
def span(name: str, carried: Mapping[str, str], **facts: str) -> Iterator[None]:
    """A span around the block, in the trace of the headers. facts: ids, never names."""
    if not _providers:
        yield
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    tracer = _providers[0].get_tracer("lethe")
    parent = TraceContextTextMapPropagator().extract({key.lower(): value for key, value in carried.items()})
    with tracer.start_as_current_span(name, context=parent, attributes=facts):
        yield


def headers() -> dict[str, str]:
    """Headers that continue the current trace; empty without one."""
    carried: dict[str, str] = {}
    if _providers:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(carried)
    return carried
