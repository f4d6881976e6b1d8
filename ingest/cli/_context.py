"""Builds what a flow talks to, from settings, and takes it down again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import json
import logging
import os
import random
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ingest.domain.conversation import Shard
from ingest.domain.raw_records import RAW_TABLES
from ingest.enums import LogFormat, Redaction
from ingest.errors import AccessError, ExitCode, MissingExtraError, RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.declared import read_own_words
from ingest.flows.landing import Landing
from ingest.flows.lease import BucketLease, RunRecord
from ingest.flows.listing import MOST_LISTED, FoundInCi, find_in_ci, full_id
from ingest.flows.redaction import Redacting, RuleRedactor
from ingest.flows.services import Admission, Calls, Progress, Services
from ingest.ports.inspect import Warehouse
from ingest.ports.move import Clock, ObjectStore
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


_KEY_BYTES = 32
_CHECK_SECONDS = 10.0
_LEASE_BUDGET_SECONDS = 20.0
"""For a sign of life; the next one comes soon."""
_CHECK_RETRY_SECONDS = 3.0
_NO_ACCESS = {"NOT_FOUND", "PERMISSION_DENIED", "UNAUTHENTICATED"}


class SystemClock:
    """The machine's time; for a run it never stands still or goes back, however it is set."""

    def __init__(self, read: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> None:
        self._read = read
        self._latest = dt.datetime.min.replace(tzinfo=dt.UTC)

    def now(self) -> dt.datetime:
        """Return the time, UTC."""
        self._latest = max(self._read(), self._latest + dt.datetime.resolution)
        return self._latest

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
    regions = ", ".join(region.location for region in settings.places)
    where = "the local stack" if settings.is_local else f"location {regions}"
    say(f"project {settings.project_id} ({where}), bucket {settings.bucket}")


class ProcessMarks:
    """Marks of the runs of this machine, by which a run that was killed is known at once.

    Each is a file that its process holds a lock on; the system gives the lock back when the process
    ends, however it ends. Where there are no such locks nothing is known.
    """

    def __init__(self) -> None:
        user = os.getuid() if hasattr(os, "getuid") else 0
        self._folder = Path(tempfile.gettempdir()) / f"ingest-runs-{user}"

    @contextmanager
    def marked(self, run_id: str) -> Iterator[None]:
        """Keep the mark of a run of this process inside the block."""
        with contextlib.ExitStack() as opened:
            # Without a mark others wait for the lease's time to run out.
            with contextlib.suppress(OSError, ImportError):
                import fcntl

                self._folder.mkdir(mode=0o700, exist_ok=True)
                path = self._folder / run_id
                mark = opened.enter_context(path.open("w"))
                opened.callback(path.unlink, missing_ok=True)
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    def is_surely_dead(self, run_id: str) -> bool:
        """Whether the run was one of this machine, and its process has ended."""
        try:
            import fcntl

            with (self._folder / run_id).open() as mark:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (OSError, ImportError):
            return False
        return True


@dataclass(frozen=True)
class Running:
    """A run that others are to know of."""

    command: str
    run_id: str


@contextlib.asynccontextmanager
async def open_services(
    settings: Settings,
    progress: Progress,
    shard: Shard | None = None,
    running: Running | None = None,
) -> AsyncIterator[Services]:
    """Yield everything a flow talks to, after each service has answered once.

    A command that changes anything says who it is (`running`), for its leases.
    """
    from ingest.gcp.bigquery import BigQueryRawSink
    from ingest.gcp.insights_regions import insights_of
    from ingest.gcp.storage import GcsObjectStore

    clock = SystemClock()
    admission = Admission(settings, clock, shard.count if shard else 1)
    store, sink = GcsObjectStore(settings), BigQueryRawSink(settings)
    insights = insights_of(settings, admission.gates)
    calls = Calls(clock)
    redactor = _redactor(settings)
    try:
        await check(store.check, f"bucket {settings.bucket}")
        await check(insights.check, "Insights")
        await check(partial(sink.check, RAW_TABLES), f"dataset {settings.raw_dataset}")
        watched = calls.watched(insights, "Insights")
        services = Services(
            store=calls.watched(store, "Cloud Storage"),
            insights=watched,
            quality=watched,
            sink=calls.watched(sink, "BigQuery"),
            clock=clock,
            rng=random.Random(),
            progress=progress,
            admission=admission,
            calls=calls,
            redacting=None
            if redactor is None
            else Redacting(redactor, partial(secrets.token_bytes, _KEY_BYTES)),
        )
        if running is None:
            yield services
            return
        marks = ProcessMarks()
        with marks.marked(running.run_id):
            yield dataclasses.replace(services, lease=_lease(services, running, marks))
    finally:
        await insights.close()
        store.close()
        sink.close()
        if redactor is not None:
            redactor.close()


def _redactor(settings: Settings) -> RuleRedactor | None:
    if settings.redaction is Redaction.OFF:
        return None
    return RuleRedactor(read_own_words(settings.seeds_dir), settings.redaction_timeout_sec)


@contextlib.asynccontextmanager
async def lease_alone(
    settings: Settings, running: Running, note: Callable[[str], None]
) -> AsyncIterator[BucketLease]:
    """Yield the lease of a command that needs nothing else of ours; only `_runs/` is looked at."""
    from ingest.gcp.storage import GcsObjectStore

    clock, store, marks = SystemClock(), GcsObjectStore(settings), ProcessMarks()
    attempts = Attempts(clock, _LEASE_BUDGET_SECONDS, random.Random())
    try:
        with marks.marked(running.run_id):
            yield BucketLease(
                store,
                clock,
                attempts,
                _record(running, clock),
                is_surely_dead=marks.is_surely_dead,
                note=note,
            )
    finally:
        store.close()


def _record(running: Running, clock: Clock) -> RunRecord:
    return RunRecord(
        running.run_id, running.command, socket.gethostname(), os.getpid(), clock.now()
    )


def _lease(services: Services, running: Running, marks: ProcessMarks) -> BucketLease:
    return BucketLease(
        services.store,
        services.clock,
        Attempts(services.clock, _LEASE_BUDGET_SECONDS, services.rng),
        _record(running, services.clock),
        is_surely_dead=marks.is_surely_dead,
        on_count=services.admission.share,
        note=services.progress.note,
    )


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


_STOP_SECONDS = 9.0
"""After a signal a command ends within ten seconds, whatever a service does."""
_BELOW_THE_BARS = "\n\x1b[?25h"
"""Goes below the bars of a terminal and shows its cursor, which they hide."""


def stop_on_signals(
    stop: Callable[[], None],
    so_far: Callable[[], str] = str,
    longest_sec: float = _STOP_SECONDS,
) -> None:
    """Make the first SIGINT or SIGTERM finish what is in flight, a second one end at once.

    `so_far` says what is done, for a run that a service holds up beyond `longest_sec`.
    """
    loop = asyncio.get_running_loop()

    def end() -> None:
        # At once and past the bars, which would be drawn over it.
        if (stderr := sys.__stderr__) is not None:
            told = f"interrupted: {so_far()}".rstrip(": ")
            below = _BELOW_THE_BARS if stderr.isatty() else ""
            with contextlib.suppress(OSError):
                stderr.write(f"{below}{told}\nrun the same command again: it goes on from here\n")
                stderr.flush()
        os._exit(ExitCode.INTERRUPTED)

    def first() -> None:
        say("stopping: finishing what is in flight; once more ends at once")
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.default_int_handler)
        timer = threading.Timer(longest_sec, end)
        timer.daemon = True
        timer.start()
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, first)


def resolved_id(
    settings: Settings, warehouse: Warehouse, given: str, source: str | None = None
) -> str:
    """Return the whole id; Insights is asked only for what raw tables and files don't know.

    Raises InputError as `full_id` does, RemoteError when Insights is needed and doesn't answer.
    """

    def ask_ci(beginning: str) -> FoundInCi:
        found = asyncio.run(_found(settings, beginning))
        if found.ids and not found.is_all:
            say(
                f"{beginning} was sought among the {MOST_LISTED:,} newest conversations of Insights"
            )
        return found

    return full_id(warehouse, given, ask_ci, None if source is None else Path(source))


def resolved_ids(settings: Settings, given: Iterable[str]) -> tuple[str, ...]:
    """Return the whole ids, as `resolved_id` does."""
    from ingest.gcp.bigquery import BigQueryWarehouse

    warehouse = BigQueryWarehouse(settings)
    return tuple(resolved_id(settings, warehouse, each) for each in given)


async def _found(settings: Settings, beginning: str) -> FoundInCi:
    from ingest.gcp.insights_regions import insights_of

    insights = insights_of(settings)
    try:
        return await find_in_ci(insights, beginning)
    finally:
        await insights.close()
