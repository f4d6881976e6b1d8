"""Builds what a flow talks to, from settings, and takes it down again."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

from ingest.cli._logging import configure_logging
from ingest.cli._tracing import tracing
from ingest.domain.raw_records import RAW_TABLES
from ingest.domain.sharding import Shard
from ingest.errors import AccessError, RemoteError
from ingest.flows.admission import Admission
from ingest.flows.attempts import Attempts
from ingest.flows.landing import Landing
from ingest.flows.outside import Outside
from ingest.flows.progress import Progress
from ingest.ports import ObjectStore
from ingest.settings import Settings

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
async def outside(
    settings: Settings, progress: Progress, shard: Shard | None = None
) -> AsyncIterator[Outside]:
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
        yield Outside(
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


def landing_of(outside: Outside, settings: Settings, run_id: str) -> tuple[Attempts, Landing]:
    """Return the retries and the landing of one run."""
    attempts = Attempts(outside.clock, settings.step_budget_sec, outside.rng)
    landing = Landing(outside.store, outside.sink, outside.clock, attempts, run_id)
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
