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
