"""`ingest why` tells where a conversation is from evidence alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from ingest.cli.show import explanation_text
from ingest.flows.show import (
    CiHop,
    EventRow,
    FileRow,
    MartRows,
    RegistryVersion,
    SourceFault,
    SourceFile,
    StateRow,
    Trace,
)
from ingest.flows.why import explain
from ingest.ports.inspect import ObjectGeneration
from ingest.ports.move import StoredObject

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


def as_landed(row: FileRow) -> SourceFile:
    """Return the file on this machine that landed as this row."""
    path = f"here/{row.batch_date}/{ID}/{row.kind}.json"
    return SourceFile(row.kind, path, row.size_bytes, row.content_sha256)


INSIGHTS = CiHop("p/conversations/x", at(1), {}, "gs://t", 3, (), "p/analyses/77", None, False, {})
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
    ci=INSIGHTS,
    versions=(VERSION,),
)
FORGOTTEN = event("forget", "succeeded", 5)
FAULT = SourceFault(f"here/{DATE}/{ID}/metadata.json", "metadata.json#/queue: empty (give one)")
LATER = f"here/2026-01-02/{ID}"
LATER_ROW = replace(
    file_row("metadata", "b", 7),
    batch_date=dt.date(2026, 1, 2),
    uri=f"gs://bucket/2026-01-02/{ID}/metadata.json",
)
OBJECT = ObjectGeneration(
    StoredObject(f"{DATE}/{ID}/metadata.json", 1, "crc", 1, None), at(0), is_live=True
)
SOURCE = SourceFile("metadata", f"here/{DATE}/{ID}/metadata.json", 10, "metadata-b")
FAILED = event("submit", "failed", 3, error_code="INVALID_ARGUMENT", error_message="bad", attempt=2)
KEPT_HERE = event(
    "submit",
    "skipped",
    3,
    reason="medium_not_for_insights",
    metadata_sha256="metadata-a",
    transcript_sha256="transcription-a",
)
PUSH = f"ingest push gs://bucket/{DATE}"

CASES = {
    "done": (DONE, "done", None),
    "raw unreadable": (replace(DONE, problems={"raw": "no"}), "unknown", "ingest doctor"),
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
    "of a medium that isn't sent to Insights": (
        replace(DONE, states=(), ci=None, events=(KEPT_HERE,)),
        "not_for_insights",
        None,
    ),
    "of a medium that is no longer sent to Insights": (
        replace(DONE, events=(event("submit", "succeeded", 1), KEPT_HERE)),
        "not_for_insights",
        f"ingest forget {ID}",
    ),
    "of a medium that is sent to Insights again": (
        replace(DONE, events=(KEPT_HERE, event("submit", "succeeded", 8))),
        "done",
        None,
    ),
    "another version was of a medium that isn't sent": (
        replace(DONE, states=(), ci=None, events=(replace(KEPT_HERE, metadata_sha256="b"),)),
        "registered",
        PUSH,
    ),
    "not sent to Insights, which is unreadable": (
        replace(DONE, states=(), ci=None, events=(KEPT_HERE,), problems={"ci": "no"}),
        "not_for_insights",
        None,
    ),
    "not in Insights": (replace(DONE, states=(), ci=None), "registered", PUSH),
    "gone from Insights": (replace(DONE, ci=None), "gone_from_ci", PUSH),
    "not analysed": (
        replace(DONE, states=(), ci=replace(INSIGHTS, latest_analysis_name=None)),
        "submitted",
        PUSH,
    ),
    "analysis not landed": (
        replace(DONE, ci=replace(INSIGHTS, latest_analysis_name="p/analyses/78")),
        "analysed",
        f"ingest pull --ids {ID}",
    ),
    "stale": (
        replace(DONE, ci=replace(INSIGHTS, is_stale=True)),
        "stale",
        f"ingest reanalyze {ID}",
    ),
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
    "forgotten and still in the registry": (
        Trace(ID, at(9), events=(FORGOTTEN,), versions=(VERSION,)),
        "forgotten",
        "dbt build",
    ),
    "forgotten and still in a mart": (
        Trace(ID, at(9), events=(FORGOTTEN,), marts=(MartRows("ci_turns", 3),)),
        "forgotten",
        "dbt build",
    ),
    "forgotten, Insights unreadable": (
        Trace(ID, at(9), events=(FORGOTTEN,), problems={"ci": "no"}),
        "unknown",
        "ingest doctor",
    ),
    "Insights unreadable": (
        replace(DONE, ci=None, problems={"ci": "no"}),
        "unknown",
        "ingest doctor",
    ),
    "registry unreadable": (
        replace(DONE, versions=None, problems={"registry": "no"}),
        "unknown",
        "ingest doctor",
    ),
    "only local, Insights unreadable": (
        Trace(ID, at(9), source=(SOURCE,), problems={"ci": "no"}),
        "unknown",
        "ingest doctor",
    ),
    "refused by a push": (
        Trace(ID, at(9), source=(SOURCE,), faults=(FAULT,)),
        "invalid",
        f"ingest data validate here/{DATE}",
    ),
    "in the bucket alone": (
        Trace(ID, at(9), objects=(OBJECT,), bucket="bucket"),
        "uploaded",
        PUSH,
    ),
    "delivered again in a later folder, as it landed": (
        replace(
            DONE,
            source=(
                as_landed(file_row("metadata")),
                replace(SOURCE, path=f"{LATER}/metadata.json"),
            ),
            files=(*DONE.files, LATER_ROW),
            states=(replace(STATE, metadata_sha256="metadata-b"),),
        ),
        "done",
        None,
    ),
    "changed in the later of two folders": (
        replace(
            DONE,
            source=(
                as_landed(file_row("metadata")),
                replace(SOURCE, path=f"{LATER}/metadata.json"),
            ),
        ),
        "changed",
        "ingest push here/2026-01-02",
    ),
    "a folder with a space": (
        Trace(ID, at(9), source=(replace(SOURCE, path=f"my calls/{DATE}/{ID}/metadata.json"),)),
        "local",
        f"ingest push 'my calls/{DATE}'",
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

    assert (found.status, found.command) == (status, command)
    assert "Nothing is to be run" not in found.paragraph or command is None


def test_a_medium_that_is_not_sent_to_insights_is_told_as_right() -> None:
    alone, still = (
        explain(CASES[name][0])
        for name in (
            "of a medium that isn't sent to Insights",
            "of a medium that is no longer sent to Insights",
        )
    )

    first = (
        "Its medium isn't sent to Insights, as seeds/media.csv declares: it is done with its files "
        "landed, and run run-1 found it so on 2026-01-02 at 03:07:05Z."
    )
    assert (alone.waits_for, alone.paragraph) == (None, f"{first} Nothing is to be run.")
    assert (still.waits_for, still.paragraph) == (
        None,
        f"{first} Yet Insights still holds an earlier state of it. Leave it, or erase the "
        "conversation everywhere.",
    )


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


def test_a_hop_that_decides_nothing_is_named_and_not_guessed() -> None:
    found = explain(replace(DONE, problems={"gcs": "bucket: UNAVAILABLE"}))

    assert found.status == "done"
    assert found.paragraph.endswith("Not looked at: gcs (bucket: UNAVAILABLE).")


def test_the_version_that_is_told_is_the_current_one_and_not_the_last() -> None:
    versions = (VERSION, replace(VERSION, version_number=2, is_current=False))

    assert "version 1 as current" in explain(replace(DONE, versions=versions)).paragraph


def test_the_first_fault_of_refused_files_is_told() -> None:
    found = explain(CASES["refused by a push"][0])

    assert found.paragraph == (
        f"A push refuses its files in here/{DATE}/{ID}: metadata.json#/queue: empty (give one)."
    )


def test_the_command_stands_alone_on_the_last_line() -> None:
    folder = "/a/very/long/folder" * 9
    source = replace(SOURCE, path=f"{folder}/{DATE}/{ID}/metadata.json")

    lines = explanation_text(explain(Trace(ID, at(9), source=(source,))), 60).splitlines()

    assert lines[-2:] == ["Run:", f"ingest push {folder}/{DATE}"]
