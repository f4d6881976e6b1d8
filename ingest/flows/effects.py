"""One log line and one span for every step that touched a remote service.

Lines carry ids, counts and codes: never a word of a conversation. They go to the logger
`ingest.effects` with their fields under `effect`; how they look is the command's business.
"""

from __future__ import annotations

import contextlib
import logging
from contextlib import AbstractContextManager

from opentelemetry import trace

from ingest.domain.outcome import Outcome
from ingest.domain.raw_records import StepEvent

LOGGER = logging.getLogger("ingest.effects")
_TRACER = trace.get_tracer("ingest")
_NO_SPAN = contextlib.nullcontext(trace.INVALID_SPAN)


def span(name: str) -> AbstractContextManager[trace.Span]:
    """Return the context of a span; where none are collected it is the same empty one."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _NO_SPAN
    return _TRACER.start_as_current_span(name)


def log_step(event: StepEvent, run_id: str) -> None:
    """Log the outcome of one step on one conversation."""
    level = logging.WARNING if event.outcome is Outcome.FAILED else logging.INFO
    if not LOGGER.isEnabledFor(level):
        return
    effect: dict[str, str | int] = {
        "run_id": run_id,
        "conversation_id": event.conversation_id,
        "step": event.step.value,
        "outcome": event.outcome.value,
        "attempt": event.attempt,
        "duration_ms": round((event.ended_at - event.started_at).total_seconds() * 1000),
    }
    if event.resource_name:
        effect["resource"] = event.resource_name
    if event.error_code:
        effect["code"] = event.error_code
    LOGGER.log(level, "%s %s", event.step.value, event.outcome.value, extra={"effect": effect})


def log_change(action: str, run_id: str, **fields: str | int) -> None:
    """Log a change made outside that is no step of its own; fields are ids, names and counts."""
    LOGGER.info(action, extra={"effect": {"run_id": run_id, **fields, "action": action}})


def log_batch(run_id: str, table: str, job_id: str, row_count: int) -> None:
    """Log that a batch of rows was loaded."""
    effect = {"run_id": run_id, "table": table, "job_id": job_id, "row_count": row_count}
    LOGGER.info("load %s", table, extra={"effect": effect})
