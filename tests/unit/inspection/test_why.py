"""`ingest why` tells where a conversation is from evidence alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from ingest.flows.inspection.trace import (
    CiHop,
    EventRow,
    FileRow,
    RegistryVersion,
    SourceFile,
    StateRow,
    Trace,
)
from ingest.flows.inspection.why import explain
from ingest.hops import ObjectGeneration
from ingest.ports import StoredObject

ID = "conv-0001"
T0 = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
DATE = dt.date(2026, 1, 1)


def at(minutes: int) -> dt.datetime:
    return T0 + dt.timedelta(minutes=minutes)


def file_row(kind: str, content: str = "a", generation: int = 1) -> FileRow:
    uri = f"gs://bucket/{DATE}/{ID}/{kind}.json"
    return FileRow(kind, DATE, uri, generation, 10, f"{kind}-{content}", "run-1", at(0))


def event(step: str, outcome: str, minutes: int, **more: Any) -> EventRow:
    given: dict[str, Any] = {
        "batch_date": DATE,
        "step": step,
        "outcome": outcome,
        "reason": None,
        "metadata_sha256": None,
        "transcript_sha256": None,
        "resource_name": None,
        "error_code": None,
        "error_message": None,
        "attempt": 1,
        "started_at": at(minutes),
        "ended_at": at(minutes),
        "run_id": "run-1",
    }
    return EventRow(**{**given, **more})


CI = CiHop("p/conversations/x", at(1), {}, "gs://t", 3, (), "p/analyses/77", None, False, {})
STATE = StateRow(
    "p/analyses/77", "profile", "metadata-a", "transcription-a", "payload", at(1), "run-1", at(2)
)
VERSION = RegistryVersion(
    1, True, "analysed", None, "metadata-a", "transcription-a", "77", 0, at(0), None, at(2)
)
DONE = Trace(
    conversation_id=ID,
    taken_at=at(9),
    files=(file_row("metadata"), file_row("transcription")),
    states=(STATE,),
    events=(event("analyse", "succeeded", 1),),
    ci=CI,
    versions=(VERSION,),
)
OBJECT = ObjectGeneration(StoredObject("x", 1, "crc", 1, None), at(0), is_live=True)
SOURCE = SourceFile("metadata", f"here/{DATE}/{ID}/metadata.json", 10, "metadata-b")
FAILED = event("submit", "failed", 3, error_code="INVALID_ARGUMENT", error_message="bad", attempt=2)
PUSH = f"ingest push gs://bucket/{DATE}"

CASES = {
    "done": (DONE, "done", None),
    "raw unreadable": (replace(DONE, problems={"raw": "no"}), "unknown", "ingest local status"),
    "only local": (
        Trace(ID, at(9), source=(SOURCE,)),
        "local",
        f"ingest push here/{DATE}",
    ),
    "uploaded and not landed": (
        Trace(ID, at(9), source=(SOURCE,), objects=(OBJECT,)),
        "uploaded",
        f"ingest push here/{DATE}",
    ),
    "waits for the transcript": (
        Trace(ID, at(9), files=(file_row("metadata"),)),
        "waiting_for_transcript",
        PUSH,
    ),
    "waits for metadata": (
        Trace(ID, at(9), files=(file_row("transcription"),)),
        "waiting_for_metadata",
        PUSH,
    ),
    "changed here": (replace(DONE, source=(SOURCE,)), "changed", f"ingest push here/{DATE}"),
    "failed": (replace(DONE, states=(), ci=None, events=(FAILED,)), "failed", PUSH),
    "failed before it landed": (Trace(ID, at(9), events=(FAILED,)), "failed", None),
    "not in CI": (replace(DONE, states=(), ci=None), "registered", PUSH),
    "gone from CI": (replace(DONE, ci=None), "gone_from_ci", PUSH),
    "not analysed": (
        replace(DONE, states=(), ci=replace(CI, latest_analysis_name=None)),
        "submitted",
        PUSH,
    ),
    "analysis not landed": (
        replace(DONE, ci=replace(CI, latest_analysis_name="p/analyses/78")),
        "analysed",
        f"ingest pull --ids {ID}",
    ),
    "stale": (replace(DONE, ci=replace(CI, is_stale=True)), "stale", f"ingest reanalyze {ID}"),
    "marts never built": (replace(DONE, versions=None), "landed", "dbt build"),
    "registry behind": (
        replace(DONE, versions=(replace(VERSION, status="submitted"),)),
        "landed",
        "dbt build",
    ),
    "forgotten": (
        Trace(ID, at(9), events=(event("forget", "succeeded", 5),)),
        "forgotten",
        None,
    ),
    "forgotten with leftovers": (
        Trace(ID, at(9), objects=(OBJECT,), events=(event("forget", "succeeded", 5),)),
        "forgotten",
        f"ingest forget {ID}",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_status_and_the_command_follow_from_the_evidence(name: str) -> None:
    trace, status, command = CASES[name]

    found = explain(trace)

    assert found.status == status
    if name != "failed before it landed":
        assert found.command == command
    assert (f"Run: {found.command}" in found.paragraph) is (found.command is not None)


def test_a_failure_that_a_later_analysis_settled_is_no_failure() -> None:
    trace = replace(DONE, events=(event("analyse", "failed", 1, error_code="UNAVAILABLE"),))

    assert explain(trace).status == "done"


def test_a_failure_is_told_with_step_code_attempts_and_message() -> None:
    found = explain(CASES["failed"][0])

    assert found.since == at(3)
    assert found.paragraph.startswith(
        "Its step submit failed on 2026-01-02 at 03:07:05Z with INVALID_ARGUMENT "
        "after 2 attempts: bad."
    )


def test_a_hop_that_could_not_be_read_is_named_and_not_guessed() -> None:
    trace = replace(DONE, ci=None, problems={"ci": "CI: UNAVAILABLE"})

    found = explain(trace)

    assert found.status == "done"
    assert found.paragraph.endswith("Not looked at: ci (CI: UNAVAILABLE).")
