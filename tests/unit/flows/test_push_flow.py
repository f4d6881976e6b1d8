from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from pathlib import Path

import pytest

from ingest.domain.conversation import Shard
from ingest.domain.outcome import STAGES, Failure, ItemState, Step
from ingest.errors import ExitCode, InputError, RemoteError
from ingest.flows.conversation_run import PushReport
from ingest.flows.pull import PullSelection
from ingest.flows.source import BucketSource, LocalSource
from tests.fakes.folders import (
    DATE,
    LATER_DATE,
    conversation_id,
    metadata,
    transcription,
    write,
    write_many,
)
from tests.fakes.world import World, fake_settings

ID = conversation_id(7)
ROWS_OF_A_NEW_ONE = {"rows_conversation_files": 2, "rows_ci_conversations": 1}


def test_a_new_conversation_goes_through_every_step_once(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)

    report = asyncio.run(world.push(tmp_path))

    assert report.exit_code is ExitCode.OK
    assert dict(report.states) == {ItemState.DONE: 1}
    assert dict(report.effects) == {
        "upload_succeeded": 1,
        "submit_succeeded": 1,
        "analyse_succeeded": 1,
        "rows_pipeline_events": 4,
        **ROWS_OF_A_NEW_ONE,
    }
    events = [(row["step"], row["outcome"]) for row in world.sink.rows["pipeline_events"]]
    assert events == [
        ("upload", "succeeded"),
        ("upload", "succeeded"),
        ("submit", "succeeded"),
        ("analyse", "succeeded"),
    ]
    assert [name for name in world.store.live_names if name.startswith("_landing/")] == []


def test_pushing_again_changes_nothing_and_asks_ci_nothing_about_conversations(
    tmp_path: Path,
) -> None:
    world = World()
    write_many(tmp_path, 5)
    asyncio.run(world.push(tmp_path))
    before = world.effects()
    world.insights.trouble.calls.clear()

    report = asyncio.run(world.push(tmp_path))

    assert dict(report.states) == {ItemState.UNCHANGED: 5}
    assert dict(report.effects) == {}
    assert world.effects() == before
    assert dict(world.insights.trouble.calls) == {
        "list_matchers": 1,
        "list_scorecard_revisions": 1,
        "list_models": 1,
    }


def test_an_edited_transcript_makes_a_new_conversation_and_one_new_analysis(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    asyncio.run(world.push(tmp_path))
    write(tmp_path, ID, transcription=transcription(ID, "Hello.", "Another thing was said."))

    report = asyncio.run(world.push(tmp_path))

    assert report.exit_code is ExitCode.OK
    assert len(world.insights.analyses) == 2
    assert world.insights.trouble.calls["delete_conversation"] == 1
    assert world.store.generation_count(f"{DATE}/{ID}/transcription.json") == 2
    assert world.store.generation_count(f"{DATE}/{ID}/metadata.json") == 1
    states = world.sink.rows["ci_conversations"]
    assert [row["transcript_sha256"] for row in states] == [
        world.insights.analyses[0][1],
        world.insights.labels(ID)["transcript_sha256"],
    ]


def test_edited_metadata_updates_ci_and_analyses_nothing(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    asyncio.run(world.push(tmp_path))
    write(tmp_path, ID, metadata=metadata(ID, queue="hardship"))

    report = asyncio.run(world.push(tmp_path))

    assert report.exit_code is ExitCode.OK
    assert len(world.insights.analyses) == 1
    assert world.insights.labels(ID)["queue"] == "hardship"
    assert world.insights.trouble.calls["delete_conversation"] == 0
    assert len(world.sink.rows["ci_conversations"]) == 2


def test_white_space_in_a_file_is_no_new_version(tmp_path: Path) -> None:
    world = World()
    folder = write(tmp_path, ID)
    asyncio.run(world.push(tmp_path))
    path = folder / "metadata.json"
    path.write_text(path.read_text().replace(", ", ",\n  "))

    report = asyncio.run(world.push(tmp_path))

    assert dict(report.states) == {ItemState.UNCHANGED: 1}


@pytest.mark.parametrize("first", ["metadata", "transcription"])
@pytest.mark.parametrize("date", [DATE, LATER_DATE])
def test_files_that_arrive_apart_meet(tmp_path: Path, first: str, date: str) -> None:
    world = World()
    other = {"metadata": "transcription", "transcription": "metadata"}[first]
    write(tmp_path / "a", ID, **{other: None})

    waiting = asyncio.run(world.push(tmp_path / "a"))
    again = asyncio.run(world.push(tmp_path / "a"))
    write(tmp_path / "b", ID, date=date, **{first: None})
    complete = asyncio.run(world.push(tmp_path / "b"))

    assert dict(waiting.states) == {ItemState.WAITING: 1}
    assert waiting.exit_code is ExitCode.SOME_FAILED
    assert waiting.faults[0].file == f"{DATE}/{ID}/{other}.json"
    assert waiting.faults[0].rule == "missing_file"
    assert dict(again.effects) == {}
    assert complete.exit_code is ExitCode.OK
    assert world.insights.labels(ID)["batch_date"] == date
    assert len(world.sink.rows["conversation_files"]) == 2
    assert [e["reason"] for e in world.sink.rows["pipeline_events"] if e["reason"]] == [
        f"waiting_for_{other}"
    ]


@pytest.mark.parametrize("chunk_size", [1, 500])
def test_a_conversation_whose_files_meet_within_one_run_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_size: int
) -> None:
    monkeypatch.setattr("ingest.flows.selection.CHUNK_SIZE", chunk_size)
    world = World()
    write(tmp_path, ID, metadata=None)
    write(tmp_path, ID, date=LATER_DATE, transcription=None)

    report = asyncio.run(world.push(tmp_path))
    again = asyncio.run(world.push(tmp_path))

    assert (report.exit_code, +report.states) == (ExitCode.OK, {ItemState.DONE: 2})
    assert [fault.rule for fault in report.faults if fault.rule == "missing_file"] == []
    assert +again.states == {ItemState.UNCHANGED: 2}


def test_a_bad_conversation_is_told_of_and_the_good_ones_go_through(tmp_path: Path) -> None:
    world = World()
    good = write_many(tmp_path, 2)
    write(tmp_path, ID, metadata=b'{"schema_version": ')

    report = asyncio.run(world.push(tmp_path))

    assert dict(report.states) == {ItemState.INVALID: 1, ItemState.DONE: 2}
    assert report.exit_code is ExitCode.SOME_FAILED
    assert [(fault.file, fault.rule) for fault in report.faults] == [
        (f"{DATE}/{ID}/metadata.json", "not_json")
    ]
    assert world.insights.conversation_ids == good
    assert [name for name in world.store.live_names if ID in name] == []


def test_an_empty_folder_is_told_of_whatever_its_name(tmp_path: Path) -> None:
    world = World()
    for name in (ID, "call-0001"):
        (tmp_path / DATE / name).mkdir(parents=True)

    report = asyncio.run(world.push(tmp_path))

    assert dict(report.states) == {ItemState.INVALID: 2}
    assert {f.file for f in report.faults if f.rule == "missing_file"} == {
        f"{DATE}/{ID}",
        f"{DATE}/call-0001",
    }


def test_a_pair_that_does_not_fit_is_not_submitted(tmp_path: Path) -> None:
    world = World()
    write(tmp_path / "a", ID, transcription=None)
    asyncio.run(world.push(tmp_path / "a"))
    late = transcription(ID)
    late["turns"][1]["start_offset_sec"] = 7_200
    write(tmp_path / "b", ID, metadata=None, transcription=late)

    report = asyncio.run(world.push(tmp_path / "b"))

    assert dict(report.states) == {ItemState.INVALID: 1}
    assert [fault.rule for fault in report.faults] == ["offset_after_end"]
    assert world.insights.conversation_ids == []


@pytest.mark.parametrize("until", [Step.UPLOAD, Step.SUBMIT, Step.ANALYSE, Step.LAND])
def test_a_push_stops_after_its_last_stage_and_a_later_one_goes_on(
    tmp_path: Path, until: Step
) -> None:
    world = World()
    write(tmp_path, ID)

    asyncio.run(world.push(tmp_path, until=until))
    reached = (
        bool(world.insights.conversation_ids),
        len(world.insights.analyses),
        len(world.sink.rows["ci_conversations"]),
    )
    report = asyncio.run(world.push(tmp_path))

    assert (
        reached
        == {
            Step.UPLOAD: (False, 0, 0),
            Step.SUBMIT: (True, 0, 0),
            Step.ANALYSE: (True, 1, 0),
            Step.LAND: (True, 1, 1),
        }[until]
    )
    assert report.exit_code is ExitCode.OK
    assert len(world.insights.analyses) == 1
    assert len(world.sink.rows["ci_conversations"]) == 1
    assert len(world.sink.rows["conversation_files"]) == 2


def test_a_forgotten_conversation_stays_forgotten(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    moment = world.clock.now()
    world.sink.rows["pipeline_events"].append(
        {"conversation_id": ID, "step": "forget", "outcome": "succeeded", "_landed_at": moment}
    )

    report = asyncio.run(world.push(tmp_path))

    assert report.failures == [
        Failure(
            ID,
            Step.UPLOAD,
            "FORGOTTEN",
            "this conversation was erased by `ingest forget`; remove its folder",
        )
    ]
    assert world.store.live_names == []


def test_four_shards_do_what_one_run_does(tmp_path: Path) -> None:
    alone, shared = World(), World()
    write_many(tmp_path, 40)
    (tmp_path / DATE / "Not An Id").mkdir()

    asyncio.run(alone.push(tmp_path))
    reports = [asyncio.run(shared.push(tmp_path, shard=Shard(i, 4))) for i in range(4)]

    assert shared.insights.conversation_ids == alone.insights.conversation_ids
    assert sorted(shared.insights.analyses) == sorted(alone.insights.analyses)
    assert sum(report.states[ItemState.DONE] for report in reports) == 40
    assert [report.states[ItemState.INVALID] for report in reports] == [1, 0, 0, 0]
    assert min(report.states[ItemState.DONE] for report in reports) > 0


def test_refused_conversations_are_events_without_content_or_names(tmp_path: Path) -> None:
    world = World()
    write_many(tmp_path, 1)
    bad = conversation_id(77)
    write(tmp_path, bad, transcription=b'{"turns": [')
    (tmp_path / DATE / "John Smith").mkdir()

    report = asyncio.run(world.push(tmp_path))

    assert dict(report.states) == {ItemState.DONE: 1, ItemState.INVALID: 2}
    day = dt.date.fromisoformat(DATE)
    keys = ("conversation_id", "batch_date", "step", "outcome", "error_code", "error_message")
    refused = [e for e in world.sink.rows["pipeline_events"] if e["step"] == "validate"]
    assert sorted(tuple(e[key] for key in keys) for e in refused) == [
        (bad, day, "validate", "failed", "not_json", "not_json at transcription.json"),
        (
            "refused-ef61a579c907bbed",
            day,
            "validate",
            "failed",
            "bad_conversation_id",
            "bad_conversation_id at folder",
        ),
    ]


def test_a_refused_folder_that_is_renamed_is_refused_no_longer(tmp_path: Path) -> None:
    world = World()
    write_many(tmp_path, 1)
    misnamed = tmp_path / DATE / "John Smith"
    misnamed.mkdir()

    def outcomes() -> list[str]:
        events = world.sink.rows["pipeline_events"]
        return [e["outcome"] for e in events if e["step"] == "validate"]

    asyncio.run(world.push(tmp_path))
    asyncio.run(world.push(tmp_path))
    assert outcomes() == ["failed"]
    misnamed.rmdir()
    asyncio.run(world.push(tmp_path))
    asyncio.run(world.push(tmp_path))

    assert outcomes() == ["failed", "skipped"]


def test_a_refusal_is_told_again_only_where_something_else_was_told_since(tmp_path: Path) -> None:
    world = World()
    bad = b'{"turns": ['

    def push(transcription: bytes | None) -> list[tuple[str, str, str | None]]:
        write(tmp_path, ID, **({} if transcription is None else {"transcription": transcription}))
        asyncio.run(world.push(tmp_path))
        return [
            (e["step"], e["outcome"], e["error_code"]) for e in world.sink.rows["pipeline_events"]
        ]

    once = push(bad)
    again = push(bad)
    otherwise = push(b'{"a": 1, "a": 2}')
    delivered = push(None)
    broken = push(bad)

    told = [("validate", "failed", "not_json")]
    assert once == again == told
    assert otherwise == [*told, ("validate", "failed", "duplicate_key")]
    assert ("analyse", "succeeded", None) in delivered
    assert broken == [*delivered, *told]


def test_a_conversation_of_a_bucket_that_is_refused_is_an_event(tmp_path: Path) -> None:
    world = World()

    async def push() -> PushReport:
        await world.store.put(
            f"in/{DATE}/{ID}/metadata.json",
            b'{"a": 1, "a": 2}',
            content_type="application/json",
            content_sha256=None,
            if_generation_match=0,
        )
        source = BucketSource(world.store, "in", world.attempts(), is_own_bucket=True)
        return await world.new_push().run(source)

    report = asyncio.run(push())

    assert dict(report.states) == {ItemState.INVALID: 1}
    assert [
        (e["conversation_id"], e["step"], e["error_code"], e["error_message"])
        for e in world.sink.rows["pipeline_events"]
    ] == [(ID, "validate", "duplicate_key", "duplicate_key at metadata.json#/a")]


def test_two_deliveries_of_one_id_are_named(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    write(tmp_path, ID, date=LATER_DATE)

    report = asyncio.run(world.push(tmp_path))

    assert [(f.file, f.rule, f.severity) for f in report.faults if f.rule == "delivered_twice"] == [
        (f"{LATER_DATE}/{ID}", "delivered_twice", "warning")
    ]


def test_a_failed_conversation_is_recorded_and_the_batch_goes_on(tmp_path: Path) -> None:
    world = World()
    ids = write_many(tmp_path, 3)
    world.insights.failing_analyses[ids[1]] = "INVALID_ARGUMENT"

    report = asyncio.run(world.push(tmp_path))

    assert dict(report.states) == {ItemState.DONE: 2, ItemState.FAILED: 1}
    assert [(f.conversation_id, f.step, f.code) for f in report.failures] == [
        (ids[1], Step.ANALYSE, "INVALID_ARGUMENT")
    ]
    failed = [e for e in world.sink.rows["pipeline_events"] if e["outcome"] == "failed"]
    assert [(e["conversation_id"], e["step"], e["error_code"]) for e in failed] == [
        (ids[1], "analyse", "INVALID_ARGUMENT")
    ]
    shown = {stage: world.progress.advances[stage] for stage in (*STAGES, "failed")}
    assert shown == {"upload": 3, "submit": 3, "analyse": 2, "land": 2, "failed": 1}


@pytest.mark.parametrize("prefix", ["ci-transcripts/", f"{DATE}/"])
def test_an_object_that_the_bucket_refuses_fails_its_conversation_only(
    tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    ids = write_many(tmp_path, 3)
    put = world.store.put

    async def refuse(name: str, content: bytes, **more: object) -> object:
        if name.startswith(prefix) and ids[1] in name:
            raise RemoteError("GCS: PERMISSION_DENIED", code="PERMISSION_DENIED")
        return await put(name, content, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(world.store, "put", refuse)

    report = asyncio.run(world.push(tmp_path))

    assert dict(report.states) == {ItemState.DONE: 2, ItemState.FAILED: 1}
    assert report.failures[0].code == "PERMISSION_DENIED"
    assert [r["conversation_id"] for r in world.sink.rows["ci_conversations"]] == [ids[0], ids[2]]


def test_rows_that_cannot_be_landed_are_no_success(tmp_path: Path) -> None:
    world = World()
    write_many(tmp_path, 2)
    world.sink.refused.add("conversation_files")

    refused = asyncio.run(world.push(tmp_path))
    world.sink.refused.clear()
    mended = asyncio.run(world.push(tmp_path))

    assert dict(refused.states) == {ItemState.FAILED: 2}
    assert {failure.code for failure in refused.failures} == {"JOB_FAILED"}
    assert mended.exit_code is ExitCode.OK
    assert len(world.sink.rows["conversation_files"]) == 4
    assert len(world.insights.analyses) == 2


def test_what_is_in_flight_at_a_fatal_error_is_landed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    ids = write_many(tmp_path, 4)
    monkeypatch.setattr("ingest.flows.selection.CHUNK_SIZE", 2)
    # Open refusals and the evidence of the first two are read; that of the next two is refused.
    world.sink.trouble.fail("query", "PERMISSION_DENIED", call=3)

    with pytest.raises(RemoteError, match="PERMISSION_DENIED"):
        asyncio.run(world.push(tmp_path))

    landed = {row["conversation_id"] for row in world.sink.rows["ci_conversations"]}
    assert landed == set(ids[:2])


def test_a_stopped_push_lands_what_is_in_flight_and_says_what_is_left(tmp_path: Path) -> None:
    world = World(settings=fake_settings(concurrency=2))
    write_many(tmp_path, 20)
    world.insights.analysis_sec = 1
    push = world.new_push()

    async def stopped() -> object:
        running = asyncio.create_task(push.run(LocalSource(tmp_path)))
        while not world.insights.analyses:
            await asyncio.sleep(0)
        push.stop()
        return await running

    report = asyncio.run(stopped())  # type: ignore[assignment]

    assert report.exit_code is ExitCode.INTERRUPTED  # type: ignore[attr-defined]
    done = report.states[ItemState.DONE]  # type: ignore[attr-defined]
    assert 0 < done < 20
    assert report.states[ItemState.INTERRUPTED] == 20 - done  # type: ignore[attr-defined]
    assert len(world.sink.rows["ci_conversations"]) == done
    assert asyncio.run(world.push(tmp_path)).exit_code is ExitCode.OK
    assert len(world.insights.analyses) == 20


def test_a_stopped_push_waits_for_no_analysis_and_lands_what_was_done_before(
    tmp_path: Path,
) -> None:
    world = World(settings=fake_settings(concurrency=4))
    ids = write_many(tmp_path, 20)
    world.insights.analysis_sec = 600
    push = world.new_push()

    async def stopped() -> PushReport:
        running = asyncio.create_task(push.run(LocalSource(tmp_path)))
        while world.insights.trouble.calls["create_analysis"] < 4:
            await asyncio.sleep(0)
        push.stop()
        return await running

    report = asyncio.run(stopped())
    took_sec = world.clock.monotonic()

    assert report.exit_code is ExitCode.INTERRUPTED
    assert +report.states == {ItemState.INTERRUPTED: 20}
    assert world.progress.advances == {"validate": 20, "upload": 4, "submit": 4}
    assert took_sec < 10
    steps = Counter(row["step"] for row in world.sink.rows["pipeline_events"])
    assert steps == {"upload": 8, "submit": 4}
    assert world.runs.live_names == ["_runs/ended/run-1.json"]
    assert asyncio.run(world.push(tmp_path)).exit_code is ExitCode.OK
    assert len(world.insights.analyses) == len(ids)


def test_all_that_failed_for_want_of_one_service_ends_with_the_code_of_a_service(
    tmp_path: Path,
) -> None:
    world = World(settings=fake_settings(step_budget_sec=5))
    write_many(tmp_path, 3)
    world.insights.trouble.fail("create_conversation", times=1_000)

    report = asyncio.run(world.push(tmp_path))

    assert +report.states == {ItemState.FAILED: 3}
    assert report.exit_code is ExitCode.REMOTE


def test_a_bucket_source_needs_no_upload_and_gives_the_same_result(tmp_path: Path) -> None:
    folder, bucket = World(), World()
    ids = write_many(tmp_path, 3)
    asyncio.run(folder.push(tmp_path))

    async def push_from_bucket() -> object:
        for id_ in ids:
            for kind in ("metadata", "transcription"):
                name = f"{DATE}/{id_}/{kind}.json"
                await bucket.store.put(
                    name,
                    (tmp_path / name).read_bytes(),
                    content_type="application/json",
                    content_sha256=None,
                    if_generation_match=0,
                )
        bucket.store.trouble.calls.clear()
        source = BucketSource(bucket.store, DATE, bucket.attempts(), is_own_bucket=True)
        first = await bucket.new_push().run(source)
        return first, await bucket.new_push().run(source)

    first, second = asyncio.run(push_from_bucket())  # type: ignore[misc]

    assert dict(first.states) == {ItemState.DONE: 3}
    assert "upload_succeeded" not in first.effects
    assert dict(second.states) == {ItemState.UNCHANGED: 3}
    assert sorted(bucket.insights.analyses) == sorted(folder.insights.analyses)
    assert [r["content_sha256"] for r in bucket.sink.rows["conversation_files"]] == [
        r["content_sha256"] for r in folder.sink.rows["conversation_files"]
    ]


def test_a_date_folder_is_listed_once_however_many_chunks_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    for date in (DATE, LATER_DATE):
        write_many(tmp_path, 6, date)
    monkeypatch.setattr("ingest.flows.selection.CHUNK_SIZE", 2)

    asyncio.run(world.push(tmp_path))

    # One more is the look for batches that an earlier run had left, two those for conversations
    # that were forgotten while a push ran.
    assert world.store.trouble.calls["list"] == 2 + 1 + 2


@pytest.mark.parametrize("chunk_size", [1, 2, 500])
def test_ids_of_which_one_begins_another_are_found_in_the_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_size: int
) -> None:
    monkeypatch.setattr("ingest.flows.selection.CHUNK_SIZE", chunk_size)
    world = World()
    for id_ in ("call", "call-2", "call-2-b"):
        write(tmp_path, id_)
    asyncio.run(world.push(tmp_path))
    before = world.effects()

    local = asyncio.run(world.push(tmp_path))
    source = BucketSource(world.store, DATE, world.attempts(), is_own_bucket=True)
    bucket = asyncio.run(world.new_push().run(source))

    assert dict(local.states) == {ItemState.UNCHANGED: 3}
    assert dict(bucket.states) == {ItemState.UNCHANGED: 3}
    assert world.effects() == before


def test_an_empty_bucket_prefix_is_no_success() -> None:
    world = World()
    source = BucketSource(world.store, "2026-13-01", world.attempts(), is_own_bucket=True)

    with pytest.raises(InputError, match="holds no date folder"):
        asyncio.run(world.new_push().run(source))


def test_a_conversation_with_a_summary_has_all_that_a_plain_push_asks_for(tmp_path: Path) -> None:
    world = World()
    ids = write_many(tmp_path, 2)
    asyncio.run(world.push(tmp_path, summarization=True))

    plain = asyncio.run(world.push(tmp_path))
    world.sink.rows["ci_conversations"].clear()
    asyncio.run(world.pull(PullSelection(is_all=True)))
    pulled = asyncio.run(world.push(tmp_path))

    assert dict(+plain.states) == {ItemState.UNCHANGED: 2}
    assert [row["conversation_id"] for row in world.sink.rows["ci_conversations"]] == ids
    assert len(world.insights.analyses) == 2
    assert pulled.exit_code is ExitCode.OK


def test_a_push_with_summaries_analyses_again_what_has_none(tmp_path: Path) -> None:
    world = World()
    write_many(tmp_path, 2)
    asyncio.run(world.push(tmp_path))

    report = asyncio.run(world.push(tmp_path, summarization=True))

    assert (report.effects["analyse_succeeded"], len(world.insights.analyses)) == (2, 4)


def test_no_create_is_spent_on_what_an_earlier_run_has_created_and_never_landed(
    tmp_path: Path,
) -> None:
    world = World()
    ids = write_many(tmp_path, 3)
    asyncio.run(world.push(tmp_path, until=Step.ANALYSE))
    created = world.insights.trouble.calls["create_conversation"]

    report = asyncio.run(world.push(tmp_path))

    assert (created, world.insights.trouble.calls["create_conversation"]) == (3, 3)
    assert report.effects["submit_adopted"] == len(ids)
    assert len(world.insights.analyses) == 3
