"""`ingest acceptance` against the stack: no difference, and the one that a fault makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from push_command import Command, Ended
from stack_fixture import Stack

pytestmark = pytest.mark.stack
FEW = "test_insights_operations.py"


@pytest.fixture
def command(stack: Stack) -> Command:
    ingest = Command(stack)
    ingest.control().reset()
    assert ingest.run("matchers", "apply").exit_code == 0
    return ingest


def accepted(command: Command, out: Path, *more: str) -> tuple[Ended, dict[str, Any]]:
    ended = command.run("acceptance", "--no-marts", "--out", out, "--json", *more)
    return ended, ended.report


def test_a_run_against_the_stack_has_no_difference_and_leaves_nothing(
    command: Command, tmp_path: Path
) -> None:
    ended, report = accepted(command, tmp_path)

    assert report["differences"] == [], json.dumps(report["differences"], indent=1)
    assert [step for step in report["steps"] if step["verdict"] != "ok"] == []
    assert (report["failed_cases"], ended.exit_code) == ([], 0)
    assert report["usd"] <= 1.0
    assert report["replies"] > 100
    erased = [step["name"] for step in report["steps"] if step["name"].startswith("erase")]
    assert erased == [f"erase {number}" for number in range(1, 11)]
    ids = {path.parent.name for path in (tmp_path / "conversations").glob("*/*/metadata.json")}
    left = {row["conversation_id"] for row in command.run("ls", "ci", "--json").report}
    assert (left & ids, [id_ for id_ in left if id_.startswith("contract-")]) == (set(), [])
    assert "No difference." in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_a_service_that_refuses_what_the_emulator_takes_is_named(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.cli.acceptance._CASES", (FEW,))
    monkeypatch.setattr("ingest.cli.acceptance._CONVERSATIONS", 1)
    refused = {"method": "UploadConversation", "probability": 1, "status": "PERMISSION_DENIED"}
    with command.control() as control:
        control.set_faults({"faults": [refused]})
        try:
            ended, report = accepted(command, tmp_path)
        finally:
            control.reset()

    assert ended.exit_code == 1
    assert {
        (found["message"], found["field"], *found["service"], *found["emulator"])
        for found in report["differences"]
    } >= {("UploadConversation", "code", "PERMISSION_DENIED", "OK")}
    assert report["failed_cases"] != []
