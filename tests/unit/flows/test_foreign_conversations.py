"""A conversation of our id that others made in Insights is theirs until somebody says otherwise."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from ingest.domain.conversation import Metadata, Transcription
from ingest.domain.insights_format import ConversationVersion, ci_submission
from ingest.domain.outcome import BatchReport, Failure, ItemState, Step
from ingest.enums import Foreign
from ingest.errors import ExitCode, InputError
from ingest.flows.ci_submission import refuse_foreign
from ingest.flows.pull import PullSelection
from ingest.flows.reanalyze import Selected, Selection
from ingest.flows.verify import Mismatch, Verify
from tests.fakes.folders import conversation_id, metadata, transcription, write
from tests.fakes.world import World

ID, OURS = conversation_id(1), conversation_id(2)
TALK = ("Billing team, good morning.", "My invoice is wrong.")
MADE = "made on 2026-01-05T08:00Z from gs://another-team/calls/, with labels owner"


def foreign(world: World, *texts: str, analyses: int = 3, medium: str = "PHONE_CALL") -> None:
    """Have Insights hold a conversation of another team."""
    version = ConversationVersion(
        ID,
        dt.date(2026, 1, 5),
        Metadata.model_validate(metadata(ID, medium=medium)),
        Transcription.model_validate(transcription(ID, *texts)),
        "a" * 64,
        "b" * 64,
    )
    world.insights.make_foreign(ci_submission(version), {"owner": "crm"}, analyses)


def held(world: World) -> tuple[dict[str, str], str, list[str]]:
    """Return labels, transcript and analyses that Insights holds of it."""
    found = asyncio.run(world.insights.get_conversation(ID))
    assert found is not None
    analyses = asyncio.run(world.insights.list_analyses(ID))
    return dict(found.labels), found.transcript_uri, [state.name for state in analyses]


def landed_analyses(world: World) -> list[str]:
    return [row["analysis_name"] for row in world.sink.rows["ci_conversations"]]


def test_it_is_left_alone_and_named_and_the_others_go_on(tmp_path: Path) -> None:
    world = World()
    foreign(world, *TALK)
    before = held(world)
    write(tmp_path, ID, transcription=transcription(ID, *TALK))
    write(tmp_path, OURS)

    reports = [asyncio.run(world.push(tmp_path)) for _ in range(2)]

    message = (
        f"Insights holds a conversation of this id that this pipeline did not make: {MADE}; "
        "--adopt keeps it if its words equal the transcript's, --replace keeps its analyses in "
        "the raw table, deletes it and makes it anew"
    )
    assert [report.exit_code for report in reports] == [ExitCode.SOME_FAILED] * 2
    assert reports[0].failures == [Failure(ID, Step.SUBMIT, "FOREIGN_CONVERSATION", message)]
    assert dict(+reports[0].states) == {ItemState.DONE: 1, ItemState.FAILED: 1}
    assert dict(+reports[1].states) == {ItemState.UNCHANGED: 1, ItemState.FAILED: 1}
    assert held(world) == before
    assert world.insights.trouble.calls["delete_conversation"] == 0
    events = [row for row in world.sink.rows["pipeline_events"] if row["outcome"] == "failed"]
    assert {(row["conversation_id"], row["error_code"]) for row in events} == {
        (ID, "FOREIGN_CONVERSATION")
    }


def test_adopting_adds_our_labels_and_keeps_everything_else(tmp_path: Path) -> None:
    world = World()
    foreign(world, *TALK, medium="CHAT")
    _, uri, analyses = held(world)
    write(tmp_path, ID, transcription=transcription(ID, "Billing  team, good morning. ", TALK[1]))

    adopted = asyncio.run(world.push(tmp_path, foreign=Foreign.ADOPT))
    labels = held(world)[0]
    again = asyncio.run(world.push(tmp_path))

    assert (adopted.exit_code, dict(+adopted.states)) == (ExitCode.OK, {ItemState.DONE: 1})
    assert (again.exit_code, dict(+again.states)) == (ExitCode.OK, {ItemState.UNCHANGED: 1})
    assert (labels["owner"], labels["queue"]) == ("crm", "collections-outbound-late")
    assert "transcript_sha256" in labels
    assert held(world)[:2] == (labels, uri)
    assert held(world)[2][1:] == analyses
    assert world.insights.trouble.calls["delete_conversation"] == 0


def test_what_was_adopted_takes_new_metadata_but_no_other_words(tmp_path: Path) -> None:
    world = World()
    foreign(world, *TALK)
    write(tmp_path, ID, transcription=transcription(ID, *TALK))
    asyncio.run(world.push(tmp_path, foreign=Foreign.ADOPT))

    write(tmp_path, ID, metadata=metadata(ID, queue="late"), transcription=transcription(ID, *TALK))
    moved = asyncio.run(world.push(tmp_path))
    write(tmp_path, ID, metadata=metadata(ID, queue="late"))
    refused = asyncio.run(world.push(tmp_path))

    assert moved.exit_code is ExitCode.OK
    labels, uri, _ = held(world)
    assert (labels["queue"], labels["owner"], uri) == (
        "late",
        "crm",
        f"gs://another-team/calls/{ID}.json",
    )
    assert [failure.code for failure in refused.failures] == ["FOREIGN_CONVERSATION"]


@pytest.mark.parametrize(
    ("texts", "difference"),
    [
        ((TALK[0], "My bill is wrong."), "what is said in turn 1"),
        ((*TALK, "Yes."), "the number of turns, 2 there and 3 here"),
    ],
)
def test_other_words_are_not_adopted(
    tmp_path: Path, texts: tuple[str, ...], difference: str
) -> None:
    world = World()
    foreign(world, *TALK)
    before = held(world)
    write(tmp_path, ID, transcription=transcription(ID, *texts))

    report = asyncio.run(world.push(tmp_path, foreign=Foreign.ADOPT))

    (failure,) = report.failures
    assert failure.code == "FOREIGN_CONVERSATION"
    assert f"--adopt refused it: it differs in {difference}," in failure.message
    assert held(world) == before


def test_replacing_lands_every_analysis_before_it_deletes(tmp_path: Path) -> None:
    world = World()
    foreign(world, *TALK)
    theirs = held(world)[2]
    write(tmp_path, ID)

    report = asyncio.run(world.push(tmp_path, foreign=Foreign.REPLACE))

    assert report.exit_code is ExitCode.OK
    rows = world.sink.rows["ci_conversations"]
    assert [row["analysis_name"] for row in rows] == [*theirs[1:], theirs[0], held(world)[2][0]]
    assert [row["payload"]["latestAnalysis"]["name"] for row in rows] == landed_analyses(world)
    assert {row["transcript_sha256"] is None for row in rows[:3]} == {True}
    moments = [row["ci_updated_at"] for row in rows]
    assert max(moments[:2]) < moments[2] < moments[3]


def test_what_cannot_be_landed_whole_is_not_replaced(tmp_path: Path) -> None:
    world = World()
    foreign(world, *TALK)
    before = held(world)
    write(tmp_path, ID)
    world.insights.trouble.fail("list_analyses", "INVALID_ARGUMENT")

    report = asyncio.run(world.push(tmp_path, foreign=Foreign.REPLACE))

    assert [failure.code for failure in report.failures] == ["INVALID_ARGUMENT"]
    assert held(world) == before


def test_all_analyses_of_ours_are_landed_before_a_changed_transcript_replaces_it(
    tmp_path: Path,
) -> None:
    world = World()
    write(tmp_path, ID)
    asyncio.run(world.push(tmp_path))
    selector = world.insights.selectors[0][1]
    for _ in range(2):
        asyncio.run(world.insights.create_analysis(ID, selector))
    before = held(world)[2]
    write(tmp_path, ID, transcription=transcription(ID, "Hello.", "Edited."))

    asyncio.run(world.push(tmp_path))

    assert sorted(landed_analyses(world)) == sorted([*before, held(world)[2][0]])


def test_what_a_deletion_takes_is_landed_once_however_often_it_is_tried(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, ID)
    asyncio.run(world.push(tmp_path))
    before = held(world)[2]
    write(tmp_path, ID, transcription=transcription(ID, "Hello.", "Edited."))
    world.insights.trouble.fail("delete_conversation", "UNAVAILABLE", times=3)
    listed = world.insights.trouble.calls["list_analyses"]

    report = asyncio.run(world.push(tmp_path))

    assert list(report.failures) == []
    assert world.insights.trouble.calls["delete_conversation"] == 4
    assert world.insights.trouble.calls["list_analyses"] == listed + 1
    assert sorted(landed_analyses(world)) == sorted([*before, held(world)[2][0]])


def reanalyzed(world: World, selection: Selection) -> tuple[Selected, BatchReport]:
    flow = world.new_reanalyze()

    async def run() -> tuple[Selected, BatchReport]:
        profile = await flow.profile()
        chosen = await flow.select(selection, profile)
        return chosen, await flow.run(chosen, profile)

    return asyncio.run(run())


def test_a_reanalysis_takes_what_others_made_only_when_it_is_told(tmp_path: Path) -> None:
    world = World()
    write(tmp_path, OURS)
    asyncio.run(world.push(tmp_path))
    foreign(world, *TALK)
    world.insights.analyses.clear()

    everything, _ = reanalyzed(world, Selection())
    _, named = reanalyzed(world, Selection(ids=(ID, OURS)))
    ours = [id_ for id_, _ in world.insights.analyses]
    _, included = reanalyzed(world, Selection(include_foreign=True))

    assert (everything.foreign_count, everything.foreign_ids) == (1, [])
    assert named.failures == [
        Failure(
            ID,
            Step.ANALYSE,
            "FOREIGN_CONVERSATION",
            "others made this conversation in Insights; --include-foreign takes it",
        )
    ]
    assert ours == [OURS, OURS]
    assert dict(+included.states) == {ItemState.DONE: 2}


def test_forgetting_what_others_made_wants_to_be_told_so(tmp_path: Path) -> None:
    world = World()
    foreign(world, *TALK)
    write(tmp_path, OURS)
    asyncio.run(world.push(tmp_path))

    asyncio.run(refuse_foreign(world.insights, world.attempts(), OURS))
    asyncio.run(refuse_foreign(world.insights, world.attempts(), "nobody-knows"))
    with pytest.raises(InputError) as caught:
        asyncio.run(refuse_foreign(world.insights, world.attempts(), ID))

    assert (caught.value.message, caught.value.hint) == (
        f"Insights holds a conversation of this id that this pipeline did not make: {MADE}",
        "add --include-foreign if it is to be erased too",
    )


def test_what_a_pull_found_is_verified_between_raw_tables_and_registry(tmp_path: Path) -> None:
    world = World()
    foreign(world, *TALK)
    write(tmp_path, OURS)
    asyncio.run(world.push(tmp_path))
    pulled = asyncio.run(world.pull(PullSelection(is_all=True)))
    verify = Verify(world.outside(), world.attempts())

    world.sink.registry = []
    before = asyncio.run(verify.check_found())
    world.sink.registry = [
        {
            "conversation_id": ID,
            "batch_date": None,
            "metadata_sha256": None,
            "transcript_sha256": None,
        }
    ]
    after = asyncio.run(verify.check_found())

    assert pulled.states[ItemState.DONE] == 1
    assert before.mismatches == [Mismatch(ID, "marts", "missing")]
    assert (after.date, dict(after.counts), after.mismatches) == (
        None,
        {"raw_ci": 1, "marts": 1},
        [],
    )
