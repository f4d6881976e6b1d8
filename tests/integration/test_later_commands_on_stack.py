"""Pull, reanalyze, verify and forget, after pushes on the stack."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from push_command import REPOSITORY, Command, Left, difference, left_on, rows
from stack_fixture import Stack

from tests.fakes.folders import metadata, transcription, write

pytestmark = pytest.mark.stack
_DAYS = itertools.count(1)


@pytest.fixture
def command(stack: Stack, tmp_path: Path) -> Command:
    """Return the command with seeds of the test's own, applied."""
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    for name in ("phrase_matchers.csv", "phrase_matcher_rules.csv"):
        shutil.copy(REPOSITORY / "seeds" / name, seeds)
    made = Command(stack, {"INGEST_SEEDS_DIR": str(seeds)})
    assert made.run("matchers", "apply").exit_code == 0
    return made


@pytest.fixture
def date() -> str:
    """Return a date folder that no other test on this stack has."""
    return f"2026-06-{next(_DAYS):02d}"


def pushed(command: Command, root: Path, date: str, count: int) -> list[str]:
    """Push conversations of that date; return their ids."""
    ids = [str(UUID(int=(5 << 100) + (int(date[-2:]) << 20) + n)) for n in range(count)]
    for id_ in ids:
        write(root, id_, date=date)
    assert command.push(root).exit_code == 0
    return ids


def changed(before: Left, command: Command) -> dict[str, int]:
    return difference(before, left_on(command))


def verified(command: Command, date: str, *more: str | Path) -> tuple[int, list[dict[str, Any]]]:
    """Verify one date; return the exit code and the differences, those of the marts left out."""
    told = command.run("verify", *more, "--date", date, "--json")
    found = [
        m for one in json.loads(told.stdout) for m in one["mismatches"] if m["place"] != "marts"
    ]
    return told.exit_code, found


def test_pulling_what_is_landed_lands_nothing(command: Command, tmp_path: Path, date: str) -> None:
    ids = pushed(command, tmp_path / "in", date, 3)
    # Other tests leave states in Insights that nobody has landed.
    command.run("pull", "--all")
    before = left_on(command)

    by_date = command.run("pull", "--date", date, "--json")
    by_id = command.run("pull", "--ids", ids[0], "--json")
    since = command.run("pull", "--json")

    assert [told.exit_code for told in (by_date, by_id, since)] == [0, 0, 0]
    assert by_date.states == {"unchanged": 3}
    assert by_id.states == {"unchanged": 1}
    assert "done" not in since.states
    # The object that says up to when pulls are complete.
    assert changed(before, command) == {"objects": 1}


def test_pulling_lands_what_a_push_left_in_ci(command: Command, tmp_path: Path, date: str) -> None:
    id_ = str(UUID(int=(6 << 100) + 1))
    write(tmp_path / "in", id_, date=date)
    command.push(tmp_path / "in", "--until", "analyse")
    before = left_on(command)

    told = command.run("pull", "--ids", id_, "--ids", "no-such-call", "--json")

    assert told.exit_code == 1
    assert told.states == {"done": 1, "failed": 1}
    assert [f["conversation_id"] for f in told.report["failures"]] == ["no-such-call"]
    assert changed(before, command) == {"ci_conversations": 1}


def test_only_what_is_stale_is_analysed_again_and_then_nothing(
    command: Command, tmp_path: Path, date: str
) -> None:
    ids = pushed(command, tmp_path / "in", date, 2)
    where = ("--stale", "--where", f'labels.batch_date="{date}"', "--yes", "--json")
    current = left_on(command)
    none = command.run("reanalyze", *where)
    nothing_changed = changed(current, command)
    rules = tmp_path / "seeds" / "phrase_matcher_rules.csv"
    rules.write_text(rules.read_text().replace("you will go to jail", "off to jail you go"))
    command.run("matchers", "apply")
    before = left_on(command)

    stale = command.run("reanalyze", *where, "--because", "other words")
    between = changed(before, command)
    again = command.run("reanalyze", *where)

    assert (none.exit_code, nothing_changed) == (0, {})
    assert (stale.exit_code, stale.states) == (0, {"done": 2})
    assert between == {"ci_conversations": 2, "pipeline_events": 2, "CreateAnalysis": 2}
    assert again.states == {}
    events = rows(
        command,
        "select conversation_id, reason from {pipeline_events} "
        "where _landed_at >= timestamp('2000-01-01') and reason = 'other words'",
    )
    assert sorted(row["conversation_id"] for row in events) == ids
    assert command.push(tmp_path / "in").states == {"unchanged": 2}


def test_verify_finds_no_difference_however_files_were_delivered(
    command: Command, tmp_path: Path, date: str
) -> None:
    later = f"2026-06-{next(_DAYS):02d}"
    root = tmp_path / "in"
    ids = pushed(command, root, date, 3)
    late = str(UUID(int=(6 << 100) + 2))
    write(root, late, date=date, metadata=None)
    command.push(root)
    write(root, late, date=later, transcription=None)
    write(root, ids[0], date=later, metadata=metadata(ids[0], queue="corrected"))
    write(root, ids[1], date=later)
    assert command.push(root).exit_code == 0

    assert verified(command, date, root)[1] == []
    assert verified(command, later, root)[1] == []


def test_verify_names_what_differs(command: Command, tmp_path: Path, date: str) -> None:
    root = tmp_path / "in"
    ids = pushed(command, root, date, 2)
    edited = transcription(ids[0], "Hello.", "Edited and not pushed.")
    write(root, ids[0], date=date, transcription=edited)
    write(root, str(UUID(int=(6 << 100) + 3)), date=date)

    code, found = verified(command, date, root)

    assert code == 1
    assert {(m["conversation_id"], m["place"]) for m in found} >= {
        (ids[0], "bucket"),
        (ids[0], "ci"),
        (str(UUID(int=(6 << 100) + 3)), "bucket"),
    }
    assert all(m["conversation_id"] != ids[1] for m in found)


def test_a_forgotten_conversation_is_gone_everywhere_and_stays_so(
    command: Command, tmp_path: Path, date: str
) -> None:
    root = tmp_path / "in"
    gone, kept = pushed(command, root, date, 2)
    for id_ in (gone, kept):
        truth = {"schema_version": "1.0", "conversation_id": id_, "scenario": "plain"}
        (root / date / id_ / "expected.json").write_text(json.dumps(truth))
    assert command.run("data", "land-truth", root).exit_code == 0

    planned = command.run("forget", gone, "--dry-run", "--json")
    still_there = verified(command, date, root)[1]
    told = command.run("forget", gone, "--yes", "--json")
    again = command.run("forget", gone, "--yes", "--json")
    refused = command.push(root)
    pulled = command.run("pull", "--ids", gone, "--json")

    assert (planned.exit_code, still_there) == (0, [])
    assert (told.exit_code, again.exit_code) == (0, 0)
    nothing = {"objects": 0, "ci_conversations": 0, "raw_rows": 0}
    receipt = {line["where"]: line["fate"] for line in told.report["places"]}
    assert receipt == {
        "bucket": "erased",
        "Insights": "erased",
        "raw tables": "erased",
        "marts": "waits",
        "files of the local stack": "waits",
        "tombstone": "kept",
        "cost of its analyses": "kept",
        "pages and reports that went elsewhere": "left",
    }
    assert {key: value for key, value in told.report.items() if key != "places"} == {
        "conversation_id": gone,
        "before": {"objects": 3, "ci_conversations": 1, "raw_rows": 8},
        "after": nothing,
        "not_erased": [],
        "failures": [],
        "running": [],
    }
    assert (again.report["before"], again.report["after"]) == (nothing, nothing)
    assert (refused.exit_code, refused.states) == (1, {"unchanged": 1, "failed": 1})
    assert [failure["code"] for failure in refused.report["failures"]] == ["FORGOTTEN"]
    assert pulled.exit_code == 1
    assert [name for name in left_on(command).objects if gone in name] == []
    assert [name for name in left_on(command).objects if kept in name] != []
    left = rows(
        command,
        "select 'file' as fact from {conversation_files} "
        "where _landed_at >= timestamp('2000-01-01') and conversation_id = @id_ union all "
        "select 'state' from {ci_conversations} "
        "where _landed_at >= timestamp('2000-01-01') and conversation_id = @id_ union all "
        "select step from {pipeline_events} "
        "where _landed_at >= timestamp('2000-01-01') and conversation_id = @id_",
        id_=gone,
    )
    assert {row["fact"] for row in left} == {"forget"}
    truths = rows(
        command,
        "select conversation_id from {conversation_truths} "
        "where _landed_at >= timestamp('2000-01-01') and conversation_id in unnest(@ids)",
        ids=[gone, kept],
    )
    assert truths == [{"conversation_id": kept}]
