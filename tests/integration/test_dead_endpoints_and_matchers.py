from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path
from uuid import UUID

import pytest
from push_command import REPOSITORY, Command, ended, rows
from stack_fixture import Stack

from tests.fakes.folders import write

pytestmark = pytest.mark.stack
ENDPOINTS = {
    "INGEST_GCS_ENDPOINT": "http://{address}",
    "INGEST_BIGQUERY_ENDPOINT": "http://{address}",
    "INGEST_INSIGHTS_ENDPOINT": "{address}",
}


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize("name", sorted(ENDPOINTS))
def test_an_endpoint_where_nothing_listens_fails_within_seconds_with_a_hint(
    stack: Stack, tmp_path: Path, name: str
) -> None:
    write(tmp_path, str(UUID(int=(4 << 100) + 1)))
    command = Command(stack, {name: ENDPOINTS[name].format(address=free_address())})
    began = time.monotonic()

    told = command.run("push", tmp_path)

    assert time.monotonic() - began < 20
    assert told.exit_code == 4
    assert "UNAVAILABLE" in told.lines("error: ")[0]
    assert "ingest local" in told.lines("hint: ")[0]


def test_an_endpoint_that_never_answers_fails_within_seconds_with_a_hint(
    stack: Stack, tmp_path: Path
) -> None:
    write(tmp_path, str(UUID(int=(4 << 100) + 1)))
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        started = [
            Command(stack, {name: form.format(address=address)}).start("push", tmp_path)
            for name, form in ENDPOINTS.items()
        ]
        told = [ended(process) for process in started]

    # Three commands start at a time; the wait itself is 10 s at most.
    assert time.monotonic() - began < 120
    assert [one.exit_code for one in told] == [4, 4, 4]
    for one in told:
        assert len(one.lines("error: ")) == 1
        assert len(one.lines("hint: ")) == 1


def test_a_bucket_that_does_not_exist_is_a_matter_of_settings(stack: Stack, tmp_path: Path) -> None:
    write(tmp_path, str(UUID(int=(4 << 100) + 1)))

    told = Command(stack, {"INGEST_BUCKET": "no-such-bucket"}).run("push", tmp_path)

    assert told.exit_code == 3
    assert "no-such-bucket" in told.lines("error: ")[0]


def test_a_dataset_that_does_not_exist_is_a_matter_of_settings(
    stack: Stack, tmp_path: Path
) -> None:
    write(tmp_path, str(UUID(int=(4 << 100) + 1)))

    told = Command(stack, {"INGEST_RAW_DATASET": "no_such_dataset"}).run("push", tmp_path)

    assert told.exit_code == 3
    assert "no_such_dataset" in told.lines("error: ")[0]


def test_drift_of_matchers_is_told_by_the_exit_code_and_mended_by_apply(
    stack: Stack, tmp_path: Path
) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    for name in ("phrase_matchers.csv", "phrase_matcher_rules.csv"):
        shutil.copy(REPOSITORY / "seeds" / name, seeds)
    command = Command(stack, {"INGEST_SEEDS_DIR": str(seeds)})
    command.run("matchers", "destroy", "--yes")

    def drift() -> int:
        return command.run("matchers", "plan", "--exit-code").exit_code

    codes = [drift(), command.run("matchers", "plan").exit_code]
    first = command.run("matchers", "apply", "--json")
    codes.append(drift())
    again = command.run("matchers", "apply", "--json")
    rules = seeds / "phrase_matcher_rules.csv"
    rules.write_text(rules.read_text().replace("you will go to jail", "you will end up in jail"))
    codes.append(drift())
    plan = command.run("matchers", "plan")
    changed = command.run("matchers", "apply", "--json")
    codes.append(drift())
    matchers = seeds / "phrase_matchers.csv"
    matchers.write_text(matchers.read_text().replace("ANY_OF,ANY_AGENT", "ANY_OF,HUMAN_AGENT"))
    roles, told = command.run("matchers", "plan"), command.run("matchers", "plan", "--json")
    destroyed = command.run("matchers", "destroy", "--yes")
    codes.append(drift())

    assert codes == [5, 0, 0, 5, 0, 5]
    assert "        ~ role_match ANY_AGENT -> HUMAN_AGENT\n" in roles.stdout
    field = {"place": "", "field": "role_match", "before": "ANY_AGENT", "after": "HUMAN_AGENT"}
    changed_fields = [c["changed"] for c in told.report["changes"] if c["change"] == "update"]
    assert changed_fields == [[field]]
    assert [change["change"] for change in first.report] == ["create"] * 5
    assert [change["change"] for change in again.report] == ["keep"] * 5
    assert "        - you will go to jail\n        + you will end up in jail" in plan.stdout
    assert [c["display_name"] for c in changed.report if c["change"] == "update"] == [
        "compliance_violations"
    ]
    assert destroyed.exit_code == 0
    landed = rows(
        command,
        "select display_name, count(*) as row_count, count(distinct matcher_id) as matcher_count "
        "from {phrase_matchers} where _landed_at >= timestamp('2000-01-01') "
        "and display_name = 'compliance_violations' group by display_name",
    )
    assert landed[0]["row_count"] >= 2
