"""Which runs analyse at all, and in bulk."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.cli import app
from ingest.domain.insights_format import CiSubmission
from ingest.domain.outcome import ItemState, Step
from ingest.enums import Mode
from ingest.errors import ExitCode, InputError, RemoteError
from ingest.flows.push import PushOptions
from ingest.ports.move import CiConversation
from tests.fakes.folders import DATE, LATER_DATE, metadata, write, write_many
from tests.fakes.world import World, fake_settings


@pytest.mark.parametrize("until", [Step.UPLOAD, Step.SUBMIT])
def test_a_bulk_run_that_ends_before_the_analysis_is_refused(until: Step) -> None:
    with pytest.raises(InputError) as caught:
        PushOptions("run-1", until, Mode.BULK)

    assert (caught.value.message, caught.value.hint) == (
        f"--mode bulk analyses, and --until {until} ends before that",
        "leave out --mode, or give --until analyse or land",
    )


@pytest.mark.parametrize("until", [Step.ANALYSE, Step.LAND])
def test_a_bulk_run_that_reaches_the_analysis_is_admitted(until: Step) -> None:
    assert PushOptions("run-1", until, Mode.BULK).reaches_analysis


def test_the_command_refuses_it_before_it_talks_to_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_many(tmp_path, 1)
    for name in ("GCS", "BIGQUERY"):
        monkeypatch.setenv(f"INGEST_{name}_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("INGEST_INSIGHTS_ENDPOINT", "127.0.0.1:9")

    result = CliRunner().invoke(app, ["push", str(tmp_path), "--until", "upload", "--mode", "bulk"])

    assert result.exit_code == ExitCode.USAGE
    assert "--until upload ends before that" in result.output


def many_dates(root: Path, per_date: int) -> list[str]:
    """Write 1,000 conversations over date folders; return their ids."""
    day = dt.date.fromisoformat(DATE)
    ids = []
    for number in range(1000):
        date = str(day + dt.timedelta(days=number // per_date))
        id_ = f"call-{number * 7919 % 1000:04}"
        times = {"started_at": f"{date}T09:00:00+10:00", "ended_at": f"{date}T09:01:00+10:00"}
        write(root, id_, date, metadata=metadata(id_, **times))
        ids.append(id_)
    return sorted(ids)


@pytest.mark.scale
@pytest.mark.parametrize("mode", list(Mode))
def test_a_thousand_over_many_dates_take_few_bigquery_jobs(tmp_path: Path, mode: Mode) -> None:
    world = World(settings=fake_settings(concurrency=384))
    ids = many_dates(tmp_path, 20)

    report = asyncio.run(world.push(tmp_path, mode=mode))

    calls = world.sink.trouble.calls
    assert report.exit_code is ExitCode.OK
    assert len(world.insights.analyses) == len(ids)
    assert calls["load"] + calls["query"] <= 0.05 * len(ids)


@pytest.mark.scale
def test_in_a_big_push_only_a_big_date_is_analysed_in_bulk(tmp_path: Path) -> None:
    world = World(settings=fake_settings(concurrency=384))
    many_dates(tmp_path, 950)

    report = asyncio.run(world.push(tmp_path))

    assert report.exit_code is ExitCode.OK
    calls = world.insights.trouble.calls
    assert (calls["bulk_analyze"], calls["create_analysis"]) == (1, 50)


def test_a_conversation_that_comes_on_two_dates_is_landed_in_between(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, "abcd-efgh")
    write(tmp_path, "abcd-efgh", LATER_DATE, metadata=metadata("abcd-efgh", queue="later"))

    report = asyncio.run(world.push(tmp_path))

    assert +report.states == {ItemState.DONE: 2}
    assert world.insights.trouble.calls["create_conversation"] == 1
    assert (len(world.insights.analyses), world.insights.labels("abcd-efgh")["queue"]) == (
        1,
        "later",
    )


def test_nothing_is_analysed_in_bulk_when_everything_is_analysed(tmp_path: Path) -> None:
    world = World()
    write_many(tmp_path, 3)
    asyncio.run(world.push(tmp_path, mode=Mode.BULK))

    again = asyncio.run(world.push(tmp_path, mode=Mode.BULK))

    assert +again.states == {ItemState.UNCHANGED: 3}
    assert world.insights.trouble.calls["bulk_analyze"] == 1


def test_what_others_left_unanalysed_is_not_analysed_with_the_batch(tmp_path: Path) -> None:
    world = World()
    write(tmp_path / "others", "an-other-one")
    asyncio.run(world.push(tmp_path / "others", until=Step.SUBMIT))
    ids = write_many(tmp_path / "own", 3)

    report = asyncio.run(world.push(tmp_path / "own", mode=Mode.BULK))

    assert report.exit_code is ExitCode.OK
    assert [id_ for id_, _ in world.insights.selectors] == ids
    assert world.insights.trouble.calls["bulk_analyze"] == 0
    assert [note for note in world.progress.notes if "Insights has others" in note] != []


def test_what_fails_in_both_passes_of_a_bulk_push_is_one_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    ids = write_many(tmp_path, 3)
    create = world.insights.create_conversation

    async def refuse_one(submission: CiSubmission) -> CiConversation:
        if submission.conversation_id == ids[1]:
            raise RemoteError("fake: refused", code="INVALID_ARGUMENT")
        return await create(submission)

    monkeypatch.setattr(world.insights, "create_conversation", refuse_one)

    report = asyncio.run(world.push(tmp_path, mode=Mode.BULK))

    assert +report.states == {ItemState.DONE: 2, ItemState.FAILED: 1}
    assert [failure.conversation_id for failure in report.failures] == [ids[1]]
    assert (world.progress.advances["analyse"], world.progress.advances["failed"]) == (2, 1)
    failed = [e for e in world.sink.rows["pipeline_events"] if e["outcome"] == "failed"]
    assert [(e["conversation_id"], e["step"], e["error_code"]) for e in failed] == [
        (ids[1], "submit", "INVALID_ARGUMENT")
    ]
