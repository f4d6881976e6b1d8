"""Builds what a flow talks to, from settings, and takes it down again."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import logging
import random
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ingest.domain.conversation import Shard
from ingest.domain.raw_records import RAW_TABLES
from ingest.enums import LogFormat
from ingest.errors import AccessError, MissingExtraError, RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.landing import Landing
from ingest.flows.listing import MOST_LISTED, FoundInCi, find_in_ci, full_id
from ingest.flows.services import Admission, Progress, Services
from ingest.ports.inspect import Warehouse
from ingest.ports.move import ObjectStore
from ingest.settings import Settings, otlp_endpoint

_SEVERITIES = {"WARNING": "WARNING", "INFO": "INFO", "ERROR": "ERROR"}


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "severity": _SEVERITIES.get(record.levelname, "DEFAULT"),
            "message": record.getMessage(),
            "time": f"{record.created:.6f}",
            **getattr(record, "effect", {}),
        }
        seconds, _, fraction = str(fields.pop("time")).partition(".")
        fields["timestampSeconds"] = int(seconds)
        fields["timestampNanos"] = int(fraction) * 1000
        return json.dumps(fields, ensure_ascii=False)


class _KeyValueLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "effect", {})
        return " ".join(
            [record.levelname.lower(), *(f"{key}={value}" for key, value in fields.items())]
        )


class _MarkedAsDry(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.effect = {**getattr(record, "effect", {}), "dry_run": True}
        return True


def configure_logging(log_format: LogFormat, *, is_dry_run: bool = False) -> None:
    """Make the effects' logger write in this format; lines of a dry run say that they are.

    A dry run is the real flow without effects, so it logs each effect that it would have.
    """
    logger = logging.getLogger("ingest.effects")
    logger.handlers.clear()
    logger.propagate = False
    if log_format is LogFormat.NONE:
        logger.setLevel(logging.CRITICAL)
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if log_format is LogFormat.JSON else _KeyValueLines())
    if is_dry_run:
        handler.addFilter(_MarkedAsDry())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


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
        what = "OTEL_EXPORTER_OTLP_ENDPOINT is set but the exporter isn't installed"
        raise MissingExtraError(what, "tracing") from error
    provider = TracerProvider(resource=Resource.create({"service.name": "ingest"}))
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()


_CHECK_SECONDS = 10.0
_CHECK_RETRY_SECONDS = 3.0
_NO_ACCESS = {"NOT_FOUND", "PERMISSION_DENIED", "UNAUTHENTICATED"}


class SystemClock:
    """The machine's time."""

    def now(self) -> dt.datetime:
        """Return the time, UTC."""
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(seconds)


def new_run_id() -> str:
    """Return an id that sorts by time."""
    return f"{SystemClock().now():%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def say(message: str) -> None:
    """Print a line for people, on stderr."""
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - the one place that writes lines


def say_target(settings: Settings, *, is_dry_run: bool = False) -> None:
    """Say which project the command works on, and log as its settings say."""
    configure_logging(settings.log_format, is_dry_run=is_dry_run)
    where = "the local stack" if settings.is_local else f"location {settings.location}"
    say(f"project {settings.project_id} ({where}), bucket {settings.bucket}")


@contextlib.asynccontextmanager
async def open_services(
    settings: Settings, progress: Progress, shard: Shard | None = None
) -> AsyncIterator[Services]:
    """Yield everything a flow talks to, after each service has answered once."""
    from ingest.gcp.bigquery import BigQueryRawSink
    from ingest.gcp.insights import GrpcInsightsApi
    from ingest.gcp.storage import GcsObjectStore

    clock = SystemClock()
    admission = Admission(settings, clock, shard.count if shard else 1)
    store, sink = GcsObjectStore(settings), BigQueryRawSink(settings)
    insights = GrpcInsightsApi(settings, admission)
    try:
        await check(store.check, f"bucket {settings.bucket}")
        await check(insights.check, "CI")
        await check(partial(sink.check, RAW_TABLES), f"dataset {settings.raw_dataset}")
        yield Services(
            store=store,
            insights=insights,
            sink=sink,
            clock=clock,
            rng=random.Random(),
            progress=progress,
            admission=admission,
        )
    finally:
        await insights.close()
        store.close()
        sink.close()


@contextlib.asynccontextmanager
async def other_bucket(settings: Settings, bucket: str) -> AsyncIterator[ObjectStore]:
    """Yield another bucket of the same project's credentials, after it has answered once."""
    from ingest.gcp.storage import GcsObjectStore

    store = GcsObjectStore(settings.model_copy(update={"bucket": bucket}))
    try:
        await check(store.check, f"bucket {bucket}")
        yield store
    finally:
        store.close()


async def check(answer: Callable[[], Coroutine[Any, Any, None]], what: str) -> None:
    """Raise within seconds: AccessError where it is refused, RemoteError without an answer."""
    attempts = Attempts(SystemClock(), _CHECK_RETRY_SECONDS, random.Random())
    try:
        await asyncio.wait_for(attempts.run(answer), _CHECK_SECONDS)
    except TimeoutError as error:
        raise RemoteError(
            f"{what} doesn't answer within {_CHECK_SECONDS:.0f} s",
            "check the network; on a laptop: `ingest local status`",
            code="DEADLINE_EXCEEDED",
        ) from error
    except RemoteError as error:
        if error.code not in _NO_ACCESS:
            raise
        raise AccessError(f"{what}: {error.message}", error.hint) from error


def landing_of(services: Services, settings: Settings, run_id: str) -> tuple[Attempts, Landing]:
    """Return the retries and the landing of one run."""
    attempts = Attempts(services.clock, settings.step_budget_sec, services.rng)
    landing = Landing(services.store, services.sink, services.clock, attempts, run_id)
    return attempts, landing


def run[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """Run a flow to its end."""
    with tracing():
        return asyncio.run(work)


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Make the first SIGINT or SIGTERM finish what is in flight, a second one end at once."""
    loop = asyncio.get_running_loop()

    def first() -> None:
        say("stopping: finishing what is in flight; once more ends at once")
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.default_int_handler)
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, first)


def resolved_id(
    settings: Settings, warehouse: Warehouse, given: str, source: str | None = None
) -> str:
    """Return the whole id; CI is asked only for what raw tables and files don't know.

    Raises InputError as `full_id` does, RemoteError when CI has to be asked and doesn't answer.
    """

    def ask_ci(beginning: str) -> FoundInCi:
        found = asyncio.run(_found(settings, beginning))
        if found.ids and not found.is_all:
            say(f"{beginning} was looked for among the {MOST_LISTED:,} newest conversations of CI")
        return found

    return full_id(warehouse, given, ask_ci, None if source is None else Path(source))


def resolved_ids(settings: Settings, given: Iterable[str]) -> tuple[str, ...]:
    """Return the whole ids, as `resolved_id` does."""
    from ingest.gcp.bigquery import BigQueryWarehouse

    warehouse = BigQueryWarehouse(settings)
    return tuple(resolved_id(settings, warehouse, each) for each in given)


async def _found(settings: Settings, beginning: str) -> FoundInCi:
    from ingest.gcp.insights import GrpcInsightsApi

    insights = GrpcInsightsApi(settings)
    try:
        return await find_in_ci(insights, beginning)
    finally:
        await insights.close()
