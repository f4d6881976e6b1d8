from __future__ import annotations

import itertools
import signal
from pathlib import Path
from uuid import UUID

import pytest
from push_command import Command, difference, ended, left_on, rows
from stack_fixture import Stack

from tests.fakes.folders import DATE, LATER_DATE, metadata, transcription, write

pytestmark = pytest.mark.stack
_NUMBERS = itertools.count(1)
NEW_ONE = {
    "objects": 3,
    "conversation_files": 2,
    "ci_conversations": 1,
    "pipeline_events": 4,
    "CreateConversation": 1,
    "CreateAnalysis": 1,
}


@pytest.fixture
def command(stack: Stack) -> Command:
    return Command(stack)


@pytest.fixture
def id_() -> str:
    """Return an id that no other test on this stack has."""
    return str(UUID(int=(7 << 100) + next(_NUMBERS)))


def times(changes: dict[str, int], count: int) -> dict[str, int]:
    return {name: number * count for name, number in changes.items()}


def test_pushing_twice_sends_analyses_and_lands_nothing_more(
    command: Command, tmp_path: Path
) -> None:
    for number in range(6):
        write(tmp_path, str(UUID(int=(1 << 100) + number)))
    start = left_on(command)

    first = command.push(tmp_path)
    middle = left_on(command)
    second = command.push(tmp_path)
    end = left_on(command)

    assert (first.exit_code, first.states) == (0, {"done": 6})
    assert difference(start, middle) == times(NEW_ONE, 6)
    assert (second.exit_code, second.states) == (0, {"unchanged": 6})
    assert (second.report["effects"], difference(middle, end)) == ({}, {})


def test_an_edited_transcript_is_recreated_and_analysed_once(
    command: Command, tmp_path: Path, id_: str
) -> None:
    write(tmp_path, id_)
    command.push(tmp_path)
    write(tmp_path, id_, transcription=transcription(id_, "Hello.", "Something else."))
    before = left_on(command)

    ended_ = command.push(tmp_path)

    assert ended_.exit_code == 0
    assert difference(before, left_on(command)) == {
        "objects": 2,
        "conversation_files": 1,
        "ci_conversations": 1,
        "pipeline_events": 3,
        "DeleteConversation": 1,
        "CreateConversation": 1,
        "CreateAnalysis": 1,
    }


def test_what_ci_holds_of_an_old_transcript_is_landed_before_it_is_deleted(
    command: Command, tmp_path: Path, id_: str
) -> None:
    write(tmp_path, id_)
    command.push(tmp_path, "--until", "analyse")
    write(tmp_path, id_, transcription=transcription(id_, "Hello.", "Something else."))
    with command.control() as control:
        fault = {"method": "DeleteConversation", "status": "INVALID_ARGUMENT", "probability": 1}
        control.set_faults({"seed": 1, "faults": [fault]})
        refused = command.push(tmp_path)
        control.set_faults({"faults": []})
    before_it_is_gone = analyses_landed(command, id_)

    ended_ = command.push(tmp_path)

    assert (refused.exit_code, ended_.exit_code) == (1, 0)
    assert len(before_it_is_gone) == 1
    after = analyses_landed(command, id_)
    assert (after[:1], len(after), len(set(after))) == (before_it_is_gone, 2, 2)


def analyses_landed(command: Command, id_: str) -> list[str]:
    found = rows(
        command,
        "select analysis_name from {ci_conversations} where _landed_at >= timestamp('2000-01-01') "
        "and conversation_id = @id_ order by ci_updated_at",
        id_=id_,
    )
    return [row["analysis_name"] for row in found]


def test_edited_metadata_is_an_update_and_no_new_analysis(
    command: Command, tmp_path: Path, id_: str
) -> None:
    write(tmp_path, id_)
    command.push(tmp_path)
    write(tmp_path, id_, metadata=metadata(id_, queue="hardship", agent_name="Noor Hale"))
    before = left_on(command)

    ended_ = command.push(tmp_path)

    assert ended_.exit_code == 0
    assert difference(before, left_on(command)) == {
        "objects": 1,
        "conversation_files": 1,
        "ci_conversations": 1,
        "pipeline_events": 3,
        "UpdateConversation": 1,
    }
    found = rows(
        command,
        "select json_value(payload, '$.labels.queue') as queue, "
        "json_value(payload, '$.qualityMetadata.agentInfo[0].displayName') as agent_name "
        "from {ci_conversations} where _landed_at >= timestamp('2000-01-01') "
        "and conversation_id = @id_ order by ci_updated_at",
        id_=id_,
    )
    assert found == [
        {"queue": "collections-outbound-late", "agent_name": "Robin Vale"},
        {"queue": "hardship", "agent_name": "Noor Hale"},
    ]


@pytest.mark.parametrize("first", ["metadata", "transcription"])
@pytest.mark.parametrize("date", [DATE, LATER_DATE])
def test_a_file_that_comes_late_completes_its_conversation(
    command: Command, tmp_path: Path, id_: str, first: str, date: str
) -> None:
    other = {"metadata": "transcription", "transcription": "metadata"}[first]
    write(tmp_path / "a", id_, **{other: None})
    start = left_on(command)

    waiting = command.push(tmp_path / "a")
    middle = left_on(command)
    again = command.push(tmp_path / "a")
    write(tmp_path / "b", id_, date=date, **{first: None})
    complete = command.push(tmp_path / "b")

    assert (waiting.exit_code, waiting.states) == (1, {"waiting": 1})
    assert [fault["file"] for fault in waiting.report["faults"]] == [f"{DATE}/{id_}/{other}.json"]
    assert difference(start, middle) == {
        "objects": 1,
        "conversation_files": 1,
        "pipeline_events": 2,
    }
    assert (again.exit_code, again.report["effects"]) == (1, {})
    assert (complete.exit_code, complete.states) == (0, {"done": 1})
    assert difference(middle, left_on(command)) == {
        "objects": 2,
        "conversation_files": 1,
        "ci_conversations": 1,
        "pipeline_events": 3,
        "CreateConversation": 1,
        "CreateAnalysis": 1,
    }


def test_the_newest_delivery_counts_however_often_both_are_pushed(
    command: Command, tmp_path: Path, id_: str
) -> None:
    write(tmp_path, id_)
    write(tmp_path, id_, date=LATER_DATE, metadata=metadata(id_, queue="corrected"))
    first = command.push(tmp_path)
    before = left_on(command)

    both = command.push(tmp_path)
    older = command.push(tmp_path / DATE)

    assert first.exit_code == 0
    assert (both.states, older.states) == ({"unchanged": 2}, {"unchanged": 1})
    assert difference(before, left_on(command)) == {}


def test_the_same_files_in_a_later_folder_are_no_new_analysis(
    command: Command, tmp_path: Path, id_: str
) -> None:
    write(tmp_path, id_)
    command.push(tmp_path)
    write(tmp_path, id_, date=LATER_DATE)
    before = left_on(command)

    ended_ = command.push(tmp_path)

    assert (ended_.exit_code, ended_.states) == (0, {"unchanged": 1, "done": 1})
    changes = difference(before, left_on(command))
    assert (changes["UpdateConversation"], changes.get("CreateAnalysis")) == (1, None)


def test_a_bucket_prefix_is_pushed_like_a_folder(
    command: Command, tmp_path: Path, id_: str
) -> None:
    bucket = command.stack.settings.bucket
    write(tmp_path, id_, date="2026-03-01")
    command.push(tmp_path, "--until", "upload")

    ended_ = command.run("push", f"gs://{bucket}/2026-03-01", "--json")
    again = command.run("push", f"gs://{bucket}/2026-03-01", "--json")
    nothing = command.run("push", f"gs://{bucket}/2026-13-01", "--json")

    assert (ended_.exit_code, ended_.states) == (0, {"done": 1})
    assert again.states == {"unchanged": 1}
    assert nothing.exit_code == 2
    assert "holds no date folder" in nothing.stderr


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(
    command: Command, tmp_path: Path, id_: str
) -> None:
    write(tmp_path, id_)
    before = left_on(command)

    ended_ = command.push(tmp_path, "--dry-run")

    assert ended_.exit_code == 0
    assert ended_.report["planned"] == {
        "upload files": 2,
        "upload Insights transcripts": 1,
        "create Insights conversations": 1,
        "analyse": 1,
    }
    assert difference(before, left_on(command)) == {}


def test_a_dry_run_of_an_older_folder_does_not_call_everything_in_place(
    command: Command, tmp_path: Path, id_: str
) -> None:
    older, newer = tmp_path / "older", tmp_path / "newer"
    write(older, id_)
    write(newer, id_, transcription=transcription(id_, "Other words."))
    for root in (older, newer):
        command.push(root)

    dry = command.run("push", older, "--dry-run")

    assert (dry.exit_code, dry.stdout) == (1, "would do: nothing; left: 1 outdated\n")
    assert dry.lines("1 conversation would go back to an earlier version and was left out") != []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lands_what_is_in_flight_and_ends_in_130(
    command: Command, tmp_path: Path, sent: signal.Signals
) -> None:
    for number in range(24):
        write(tmp_path, str(UUID(int=(3 << 100) + (sent << 32) + number)))
    before = left_on(command)
    with command.control() as control:
        control.set_operation_latency("CreateAnalysis", 0.4)
    process = command.start(
        "push", tmp_path, "--json", "--concurrency", "4", "--log-format", "json"
    )
    assert process.stderr is not None
    for line in process.stderr:
        if '"submit' in line:
            break
    process.send_signal(sent)
    interrupted = ended(process)
    with command.control() as control:
        control.set_operation_latency("CreateAnalysis", 0)

    changes = difference(before, left_on(command))
    done = interrupted.states["done"]
    assert interrupted.exit_code == 130
    assert interrupted.states == {"done": done, "interrupted": 24 - done}
    assert 0 < done < 24
    assert changes == times(NEW_ONE, done)
    assert command.push(tmp_path).states == {"unchanged": done, "done": 24 - done}
    assert difference(before, left_on(command)) == times(NEW_ONE, 24)


def test_two_reanalyses_of_the_same_at_once_pay_once(command: Command, tmp_path: Path) -> None:
    ids = [str(UUID(int=(9 << 100) + number)) for number in range(4)]
    for each in ids:
        write(tmp_path, each, metadata=metadata(each, labels={"case": "twice"}))
    command.push(tmp_path)
    before = left_on(command)

    arguments = ("reanalyze", "--where", 'labels.case="twice"', "--yes", "--wait", "--json")
    with command.control() as control:
        # So long that the second has chosen before the first has ended.
        control.set_operation_latency("CreateAnalysis", 20)
        both = [ended(process) for process in [command.start(*arguments) for _ in range(2)]]
        control.set_operation_latency("CreateAnalysis", 0)

    paid = difference(before, left_on(command))["CreateAnalysis"]
    assert [one.exit_code for one in both] == [0, 0], [one.stderr for one in both]
    assert [one.states for one in both] == [{"done": 4}, {"done": 4}]
    assert paid == 4
