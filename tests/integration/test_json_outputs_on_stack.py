"""What every command that changes something prints with --json: all done, in part, and nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from output_checks import commands_with_json, output_name, spoiled, validator
from push_command import REPOSITORY, Command, Ended
from stack_fixture import Stack

from ingest.domain.scorecards import FILES
from tests.fakes.folders import metadata, write
from tests.output_schemas import OUTPUTS

pytestmark = pytest.mark.stack
DATE = "2026-08-03"
GOOD, BROKEN, MISSING = (f"{digit * 8}-0000-4000-8000-{digit * 12}" for digit in "abf")
FOREIGN = REPOSITORY / "tests" / "fixtures" / "foreign_transcripts"
SETTINGS = str(REPOSITORY / "terraform" / "insights_settings.yaml")
BAD_ID = "Robert'); drop table x;--"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of one sound conversation and one whose metadata is broken."""
    root = tmp_path_factory.mktemp("source")
    write(root, GOOD, date=DATE)
    write(root, BROKEN, date=DATE, metadata=metadata(BROKEN, queue=""))
    truth = {"schema_version": "1.0", "conversation_id": GOOD, "scenario": "plain"}
    (root / DATE / GOOD / "expected.json").write_text(json.dumps(truth), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def command(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Yield the command with seeds of its own, which a test may change; deletes what it applied."""
    seeds = tmp_path_factory.mktemp("seeds")
    for name in ("phrase_matchers.csv", "phrase_matcher_rules.csv", "topics.csv", *FILES):
        shutil.copy(REPOSITORY / "seeds" / name, seeds)
    made = Command(stack, {"INGEST_SEEDS_DIR": str(seeds)})
    yield made
    assert made.run("matchers", "apply").exit_code == 0


CASES: list[tuple[tuple[str, ...], int]] = [
    (("local", "up", "--data-dir", "{stack}"), 0),
    (("matchers", "plan", "--impact"), 0),
    (("matchers", "apply", "--dry-run"), 0),
    (("matchers", "apply"), 0),
    (("matchers", "list"), 0),
    (("push", "{folder}", "--dry-run"), 1),
    (("push", "{folder}"), 1),
    (("push", "{folder}"), 1),
    (("pull", "--date", DATE), 0),
    (("pull", "--ids", GOOD, "--ids", MISSING), 1),
    (("pull", "--all", "--dry-run"), 0),
    (("pull",), 0),
    (("reanalyze", GOOD, MISSING, "--dry-run"), 1),
    (("reanalyze", GOOD, MISSING, "--yes"), 1),
    (("reanalyze", "--stale", "--yes"), 0),
    (("matchers", "plan", "--impact", "--exit-code"), 0),
    (("matchers", "test", "{folder}"), 0),
    (("matchers", "pull", "--out", "{out}"), 0),
    (("scorecards", "plan", "--exit-code"), 5),
    (("scorecards", "apply"), 0),
    (("scorecards", "activate", "--yes"), 0),
    (("scorecards", "test", GOOD, "--yes"), 0),
    (("scorecards", "plan", "--exit-code"), 0),
    (("scorecards", "list"), 0),
    (("labels", "export", "--template", "call-quality", "--out", "{sheet}"), 0),
    (("labels", "import", "{labels}"), 1),
    (("labels", "export", "--out", "{sheet}"), 0),
    (("scorecards", "pull", "--out", "{out}"), 0),
    (("scorecards", "destroy", "--yes"), 0),
    (("topics", "plan", "--exit-code"), 5),
    (("topics", "apply"), 0),
    (("topics", "deploy", "call-reasons", "--yes"), 0),
    (("reanalyze", "--stale", "--yes"), 0),
    (("topics", "stats"), 0),
    (("topics", "list"), 0),
    (("topics", "pull", "--out", "{out}"), 0),
    (("topics", "deploy", "call-reasons", "--off"), 0),
    (("settings", "plan", SETTINGS), 0),
    (("settings", "plan", "{settings}"), 0),
    (("settings", "apply", "{settings}"), 0),
    (("settings", "apply", SETTINGS), 0),
    (("retention", "plan", "--exit-code"), 0),
    (("retention", "apply"), 0),
    (("verify", "{folder}"), 1),
    (("verify", "--date", "1999-01-01"), 1),
    (("data", "validate", "{folder}"), 1),
    (("data", "report", "{folder}"), 0),
    (("data", "redaction-report", "seeds/conversations"), 0),
    (("data", "land-truth", "{folder}"), 0),
    (("data", "generate", "--count", "3", "--out", "{out}", "--seeds", "{seeds}"), 0),
    (
        ("data", "convert", f"{FOREIGN}/twilio.json", SETTINGS, "--from", "twilio")
        + ("--defaults", f"{FOREIGN}/context.yaml", "--out", "{out}"),
        1,
    ),
    (("data", "map"), 0),
    (("data", "map", "--explain", f"{FOREIGN}/twilio.json"), 0),
    (("forget", GOOD, "--dry-run"), 0),
    (("forget", GOOD, "--yes"), 0),
    (("forget", GOOD, "--yes"), 0),
    (("push", "{folder}"), 1),
    (("matchers", "destroy", "--dry-run"), 0),
    (("matchers", "destroy", "--yes"), 0),
]
"""In this order: what each does and how it ends, with a broken and a missing one among them."""
ELSEWHERE = {
    "acceptance",
    "migrate_cc_coach",
    "topics_train",
    "data_coaching_report",
    "forget_customer",
    "forget_customer_dry_run",
}
"""Held by test_acceptance.py, since it takes minutes, by test_foreign_on_stack.py, which has
another pipeline's tables, by test_topics_flow.py, since it takes a hundred conversations, by
test_demo.py, which has the coaching marts, and by test_forget_to_the_last_byte.py."""
REFUSED = [
    ("push", "no/such/folder"),
    ("pull", "--ids", BAD_ID),
    ("pull", "--all", "--date", DATE),
    ("reanalyze", BAD_ID, "--yes"),
    ("reanalyze",),
    ("reanalyze", "--where", 'nope="1"', "--yes"),
    ("verify", "--date", "1999-99-99"),
    ("forget", BAD_ID, "--yes"),
    ("forget", MISSING, "--yes"),
    ("forget", GOOD),
    ("forget",),
    ("forget", GOOD, "--customer", "x"),
    ("forget", "--customer", "x", "--yes"),
    ("matchers", "destroy"),
    ("matchers", "test", "no/such/folder"),
    ("matchers", "pull"),
    ("topics", "train", "found"),
    ("topics", "deploy", "nothing"),
    ("labels", "import", "no/such/file.csv"),
    ("labels", "export", "--out", "x.csv", "--where", "x"),
    ("scorecards", "activate"),
    ("scorecards", "destroy"),
    ("settings", "plan", "no/such/file.yaml"),
    ("settings", "apply", "-"),
    ("data", "generate", "--out", "x", "--seeds", "no/such/folder"),
    ("data", "validate", "no/such/folder"),
    ("data", "report", "no/such/folder"),
    ("data", "redaction-report", "no/such/folder"),
    ("data", "coaching-report", "no/such/folder"),
    ("data", "land-truth", "no/such/folder"),
    ("data", "convert", "x.json", "--from", "nonsense", "--out", "x"),
]


def test_json_of_what_changes_something_is_as_its_schema_says(
    command: Command, folder: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.yaml"
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "conversation_id,scorecard_id,revision_id,question_id,answer_key,issue_model_id,topic\n"
        f"{GOOD},call-quality,,no-threats,yes,,\n{MISSING},call-quality,,no-threats,no,,\n",
        encoding="utf-8",
    )
    settings.write_text("language_code: en-AU\nconversation_ttl_days: 30\n", encoding="utf-8")
    places = {
        "stack": str(command.stack.layout.data_dir),
        "folder": str(folder),
        "out": str(tmp_path / "out"),
        "settings": str(settings),
        "labels": str(labels),
        "sheet": str(tmp_path / "out" / "sheet.csv"),
        "seeds": str(REPOSITORY / "seeds"),
    }
    found: list[tuple[tuple[str, ...], int]] = []
    passed: list[tuple[str, ...]] = []

    for words, _ in CASES:
        arguments = [word.format(**places) if word[0] == "{" else word for word in words]
        # Every output is held against its schema where the command runs.
        ended = command.run(*arguments, "--json")
        assert ended.stdout, (words, ended.stderr)
        found.append((words, ended.exit_code))
        passed += [words for each in spoiled(json.loads(ended.stdout)) if _passes(words, each)]

    assert found == CASES
    assert passed == [], "a schema let an output pass with a key more or less"


def test_retention_limits_insights_and_leaves_what_came_lately(command: Command) -> None:
    days = {"INGEST_RETENTION_INSIGHTS_DAYS": "30", "INGEST_RETENTION_FILES_DAYS": "1"}
    limited = replace(command, more_env={**command.more_env, **days})

    planned = limited.run("retention", "plan", "--exit-code", "--json")
    refused = limited.run("retention", "apply")
    applied = limited.run("retention", "apply", "--yes")
    after = limited.run("retention", "plan", "--exit-code", "--json")

    assert (planned.exit_code, refused.exit_code, applied.exit_code) == (5, 2, 0)
    assert after.exit_code == 0
    assert after.report["places"] == [
        {"place": "originals", "wanted_days": None, "held_days": None, "overdue": []},
        {"place": "files", "wanted_days": 1, "held_days": None, "overdue": []},
        {"place": "insights", "wanted_days": 30, "held_days": 30, "overdue": []},
        {"place": "pages", "wanted_days": None, "held_days": None, "overdue": []},
    ]
    assert "Insights is 0.0 % full (2,000,000 conversations a region)" in after.stderr
    assert command.run("settings", "apply", SETTINGS).exit_code == 0


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_done_prints_no_json(command: Command, words: tuple[str, ...]) -> None:
    ended: Ended = command.run(*words, "--json")

    assert (ended.exit_code, ended.stdout) == (2, "")


def _passes(words: tuple[str, ...], printed: object) -> bool:
    try:
        validator(output_name(words)).validate(printed)
    except jsonschema.ValidationError:
        return False
    return True


def test_every_schema_is_held_against_an_output_of_the_stack() -> None:
    from test_commands_for_people import JSON_OUTPUTS

    changing = {output_name(words) for words, _ in CASES} | ELSEWHERE

    assert changing | set(JSON_OUTPUTS.values()) == set(OUTPUTS)
    assert {output_name(command.split()) for command in commands_with_json()} <= set(OUTPUTS)
