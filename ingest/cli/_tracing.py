"""Sends spans to an OpenTelemetry collector when an OTLP endpoint is set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ingest.errors import SettingsError
from ingest.settings import otlp_endpoint


@contextmanager
def tracing() -> Iterator[None]:
    """Export spans while the block runs; do nothing without OTEL_EXPORTER_OTLP_ENDPOINT."""
    endpoint = otlp_endpoint()
    if endpoint is None:
        yield
        return
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set but the exporter isn't installed",
            "pip install 'conversation-coach[tracing]', or unset it",
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "ingest"}))
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()
