"""Files of other systems, pushed by a mapping: one command from their folder to the raw tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from push_command import REPOSITORY, Command, difference, left_on, rows
from stack_fixture import Stack

pytestmark = pytest.mark.stack
SAMPLES = REPOSITORY / "tests" / "fixtures" / "foreign_transcripts"
ID = "gt0123456789abcdef0123456789abcdef"
MAPPING = """
mapping: 1
extends: twilio
name: ours
conversation: {queue: {const: billing}}
custom: {case: {const: 77, type: integer}}
defaults:
  direction: INBOUND
  business_line: LOANS
  agent_team: Support
  agent_site: Perth
  campaign_id: C-1
  call_outcome: INFORMATION_GIVEN
"""


@pytest.fixture
def command(stack: Stack) -> Command:
    return Command(stack, {"INGEST_SEEDS_DIR": str(REPOSITORY / "seeds")})


def test_a_foreign_folder_is_pushed_by_its_mapping_and_again_does_nothing(
    command: Command, tmp_path: Path
) -> None:
    shutil.copy(SAMPLES / "twilio.json", tmp_path / "a.json")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*")}
    start = left_on(command)

    planned = command.push(tmp_path, "--dry-run")
    unchanged = left_on(command)
    first = command.push(tmp_path)
    middle = left_on(command)
    again = command.push(tmp_path / "a.json", "--mapping", str(tmp_path / "mapping.yaml"))
    bucket = command.run("push", "gs://a-bucket/x", "--mapping", tmp_path / "mapping.yaml")

    landed = rows(
        command,
        "select json_value(payload, '$.queue') as queue, "
        "json_value(payload, '$.custom.case') as number "
        "from {conversation_files} where _landed_at >= timestamp('2000-01-01') "
        "and conversation_id = @id_ and kind = 'metadata'",
        id_=ID,
    )
    made = first.report["converted"]
    assert (planned.exit_code, difference(start, unchanged)) == (1, {})
    assert (first.exit_code, first.states) == (1, {"done": 1})
    assert (made["read"], made["written"]) == (2, [f"2026-01-05/{ID}"])
    assert [each["file"] for each in made["refused"]] == ["broken.json"]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == before
    assert (again.exit_code, again.states) == (0, {"unchanged": 1})
    assert difference(middle, left_on(command)) == {}
    assert landed == [{"queue": "billing", "number": "77"}]
    assert bucket.exit_code == 2


def test_whatever_reads_files_reads_those_that_a_mapping_makes(
    command: Command, tmp_path: Path
) -> None:
    source, mapping = tmp_path / "calls", tmp_path / "ours.yaml"
    source.mkdir()
    shutil.copy(SAMPLES / "twilio.json", source / "a.json")
    mapping.write_text(MAPPING)
    by = ("--mapping", mapping)
    command.push(source, *map(str, by))

    verified = command.run("verify", source, *by, "--json")
    shown = command.run("show", ID, "--source", source, *by, "--json")
    tried = command.run("matchers", "test", source, *by, "--json")
    measured = command.run("data", "report", source, *by, "--json")
    truths = command.run("data", "land-truth", source, *by, "--json")
    changed = MAPPING.replace("const: 77", "const: 78")
    mapping.write_text(changed)
    told = command.run("why", ID, "--source", source, *by, "--json")
    (source / "mapping.yaml").write_text(changed)
    beside = command.run("why", ID, "--source", source, "--json")
    unread = command.run("verify", *by)

    (date,) = verified.report
    # Other tests have conversations of that day in the bucket; none of them is in these files.
    differs = {
        mismatch["place"] for mismatch in date["mismatches"] if mismatch["conversation_id"] == ID
    }
    assert (date["counts"]["files"], differs - {"marts"}) == (1, set())
    assert [file["path"] for file in shown.report["source"]] == [
        f"2026-01-05/{ID}/metadata.json",
        f"2026-01-05/{ID}/transcription.json",
    ]
    assert (tried.exit_code, tried.report["transcripts"]) == (0, 1)
    assert (measured.report[0]["name"], measured.report[0]["conversations"]) == (str(source), 1)
    assert (truths.exit_code, truths.report["landed"]) == (0, 0)
    assert told.report["command"] == f"ingest push {source} --mapping {mapping}"
    assert beside.report["command"] == f"ingest push {source}"
    assert unread.exit_code == 2
