"""What a stack keeps, byte by byte: originals' people in one folder alone, nothing of a forgotten
conversation anywhere."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from push_command import Command, rows
from stack_fixture import Stack, print_nothing

from ingest.cli.local import run_first_steps
from ingest.datagen.redaction_measure import RedactionTally
from ingest.datagen.truth import ExpectedPiiSpan
from ingest.domain.redaction.redactor import Redactor
from ingest.domain.redaction.turn import Kind, built_in
from ingest.flows.declared import read_own_words
from ingest.local import stack as local_stack
from ingest.local.layout import Layout, Service
from tests.fakes.folders import conversation_id, metadata, transcription, write
from tests.warehouse.dbt_runs import ROOT, DbtProject

pytestmark = pytest.mark.stack
WORD = "Zyxomaquillon"
DATE = "2026-05-04"
GONE, KEPT, REDACTED, FRENCH = (conversation_id(number) for number in range(1, 5))
CUSTOMER = {"custom": {"patient_id": "Fnordquist 77"}}
"""Of two conversations: one with originals, one that was pushed as it is."""
PROJECT = """
vars:
  conversation_custom_fields:
    - {name: patient_id, data_type: string, description: A patient., personal: true, customer: true}
"""
COUNT, LEAST_SOUGHT = 12, 6
"""Shorter details, such as the last digits of a card, stand in hashes by chance."""
MODELS = ("+ci_turns", "+ci_entities", "+conversation_turns", "+conversation_registry_current")
BUILD = ("build", "--select", *MODELS, "--exclude", "resource_type:test", "resource_type:unit_test")


def _texts(file: Path) -> Iterator[str]:
    """Yield the rows of a parquet or DuckDB file, whose strings may be compressed."""
    with duckdb.connect() as connection:
        if file.suffix == ".parquet":
            found = [f"read_parquet('{file}')"]
        else:
            connection.execute(f"ATTACH '{file}' AS held (READ_ONLY)")
            tables = "select schema_name, table_name from duckdb_tables() where database_name = $1"
            found = [
                f'held."{s}"."{t}"' for s, t in connection.execute(tables, ["held"]).fetchall()
            ]
        for name in found:
            rows = connection.execute(f"select t::varchar from {name} as t").fetchall()
            yield from (str(row) for row in rows)


def _held(file: Path) -> Iterator[bytes]:
    yield file.read_bytes().lower()
    if file.suffix in (".parquet", ".duckdb", ".ducklake"):
        yield "\n".join(_texts(file)).lower().encode()


def places(folders: Iterable[Path], words: set[str]) -> dict[str, set[str]]:
    """Return where words are on disk, as the first folder and the kind of the file."""
    sought = {word: word.lower().encode() for word in words}
    found: dict[str, set[str]] = {}
    for folder in folders:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            parts = file.relative_to(folder).parts
            if "home" in parts:
                continue
            zone = "originals" if "originals" in str(file.relative_to(folder)) else parts[0]
            for held in _held(file):
                hit = {w for w, raw in sought.items() if raw in held and _stands(raw, held)}
                if hit:
                    found.setdefault(f"{zone}: {file.suffix}", set()).update(hit)
    return found


def _stands(raw: bytes, held: bytes) -> bool:
    return re.search(rb"(?<![\w-])" + re.escape(raw) + rb"(?![\w-])", held) is not None


@dataclass(frozen=True)
class Planted:
    """Generated conversations: what the redactor takes out of them, and what it leaves."""

    root: Path
    sought: set[str]
    missed: Counter[str]


def _planted(root: Path) -> Planted:
    vocabulary = built_in().with_own(read_own_words(ROOT / "seeds"))
    tally, sought, left = RedactionTally(vocabulary), set[str](), list[str]()
    for folder in sorted(root.glob("*/*/transcription.json")):
        texts, about, truth = _read(folder.parent)
        tally.add(texts, about["agent_name"], truth)
        redactor = Redactor(texts, [(Kind.NAME, about["agent_name"])], vocabulary)
        left += (redactor.redacted_turn(place) for place in range(len(texts)))
        sought |= {
            text[span.start : span.end]
            for place, text in enumerate(texts)
            for span in redactor.turn_spans(place)
        }
    # What one talk holds as a detail another, or a matcher, may say as an ordinary word.
    business = [path.read_text("utf-8") for path in sorted((ROOT / "seeds").glob("*.csv"))]
    spoken = "\n".join([*left, *business]).lower().encode()
    sought = {word for word in sought if len(word) >= LEAST_SOUGHT}
    ordinary = {word for word in sought if _stands(word.lower().encode(), spoken)}
    types = tally.measure().types
    missed = Counter({each.type: each.planted - each.touched for each in types})
    return Planted(root, sought - ordinary, +missed)


def _read(folder: Path) -> tuple[list[str], dict[str, Any], list[ExpectedPiiSpan]]:
    said = json.loads((folder / "transcription.json").read_text("utf-8"))
    about = json.loads((folder / "metadata.json").read_text("utf-8"))
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    truth = [ExpectedPiiSpan.model_validate(each) for each in expected["pii_spans"]]
    return [turn["text"] for turn in said["turns"]], about, truth


def _left_of_planted(planted: Planted, redacted: dict[str, list[str]]) -> Counter[str]:
    """Return by type the planted details of which the redacted talk still says all."""
    found: Counter[str] = Counter()
    for folder in (path.parent for path in planted.root.glob("*/*/expected.json")):
        texts, _, truth = _read(folder)
        for detail in truth:
            said = texts[detail.turn_index][detail.start_char : detail.end_char]
            found[detail.type] += said in redacted[folder.name][detail.turn_index]
    return +found


@dataclass(frozen=True)
class Built:
    """A stack with a redacted and an open push, marts and pages, and what lies where on disk."""

    command: Command
    project: DbtProject
    root: Path
    planted: Planted
    redacted: dict[str, list[str]]
    found: dict[str, set[str]]

    @property
    def site(self) -> Path:
        """The folder of pages."""
        return self.command.stack.layout.data_dir / "site"

    def restarted(self, words: set[str]) -> dict[str, set[str]]:
        """Return where words are while nothing runs, and bring the stack up again."""
        layout = self.command.stack.layout
        local_stack.down(layout, print_nothing)
        found = places((layout.data_dir, self.project.work_dir.parent), words)
        local_stack.up(layout, list(Service), print_nothing, ends_with_caller=True)
        return found

    def build(self) -> None:
        """Build marts and pages."""
        self.project.run(*BUILD)
        assert self.command.run("site", "--with-pii", "--out", self.site).exit_code == 0


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, stack_port_bases: Iterator[int]
) -> Iterator[Built]:
    tmp_path = tmp_path_factory.mktemp("bytes")
    layout = Layout(tmp_path / "data", next(stack_port_bases))
    state = local_stack.up(layout, list(Service), print_nothing, ends_with_caller=True)
    try:
        command = Command(Stack(layout, state, run_first_steps(layout, state, print_nothing)))
        yield _made(command, tmp_path)
    finally:
        local_stack.down(layout, print_nothing)


def _made(command: Command, tmp_path: Path) -> Built:
    root, people = tmp_path / "in", tmp_path / "people"
    said = (f"Hello, {WORD} here.", f"I am {WORD}, of {WORD} Street.")
    about = metadata(GONE, agent_name=WORD, **CUSTOMER)
    write(root, GONE, DATE, transcription=transcription(GONE, *said), metadata=about)
    write(root, KEPT, DATE)
    made = command.run("data", "generate", "--count", str(COUNT), "--seed", "3", "--out", people)
    assert made.exit_code == 0
    planted = _planted(people)
    about = metadata(REDACTED, agent_name=WORD, **CUSTOMER)
    write(people, REDACTED, DATE, transcription=transcription(REDACTED, *said), metadata=about)
    french = metadata(FRENCH, language_code="fr-FR")
    write(people, FRENCH, DATE, transcription=transcription(FRENCH, *said), metadata=french)
    (tmp_path / "project.yml").write_text(PROJECT, "utf-8")
    command = replace(command, more_env={"INGEST_DBT_PROJECT_FILE": str(tmp_path / "project.yml")})
    on = {"INGEST_REDACTION": "before_insights", "INGEST_LOG_FORMAT": "json"}
    redacting = replace(command, more_env={**command.more_env, **on})
    told = [redacting.push(people), redacting.run("verify", people), command.push(root)]
    assert (told[0].states, told[2].exit_code) == ({"done": COUNT + 1, "invalid": 1}, 0)
    (tmp_path / "artefacts" / "logs").mkdir(parents=True)
    spoken = "\n".join(each.stdout + each.stderr for each in told)
    (tmp_path / "artefacts" / "logs" / "commands.log").write_text(spoken, "utf-8")
    endpoint = str(command.stack.settings.bigquery_endpoint)
    project = DbtProject(tmp_path / "artefacts" / "dbt", endpoint, is_lean=True)
    built = Built(command, project, root, planted, _redacted(command), {})
    built.build()
    return replace(built, found=built.restarted({WORD, *planted.sought}))


def _redacted(command: Command) -> dict[str, list[str]]:
    """Return the turns of each sanitised object of the generated conversations."""
    sql = (
        "select conversation_id, payload from {conversation_files} "
        "where kind = 'transcription' and _landed_at >= timestamp('2000-01-01')"
    )
    return {
        row["conversation_id"]: [turn["text"] for turn in _json(row["payload"])["turns"]]
        for row in rows(command, sql)
    }


def _json(payload: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(payload) if isinstance(payload, str) else payload
    return loaded


def test_what_cant_be_judged_is_counted_and_nothing_of_it_is_stored(built: Built) -> None:
    command = built.command
    [failed] = json.loads(command.run("errors", "--json").stdout)
    health = command.run("health", "--json").report

    assert (failed["conversation_id"], failed["error_code"]) == (FRENCH, "redaction_language")
    assert (health["failed"], health["refused"]) == (1, 1)
    assert "redaction_language" in command.run("status", "--json").stdout
    redacted = min(built.redacted.keys() - {GONE, KEPT, REDACTED})
    on = replace(command, more_env={**command.more_env, "INGEST_REDACTION": "before_insights"})
    assert "other content" in command.run("why", redacted, "--source", built.planted.root).stdout
    assert "other content" not in on.run("why", redacted, "--source", built.planted.root).stdout
    assert not any(FRENCH in str(path) for path in (built.site.parent / "gcs").rglob("*"))


def test_people_stand_in_the_originals_alone(built: Built) -> None:
    sought = built.planted.sought
    found = {place: words & sought for place, words in built.found.items() if words & sought}
    redacted = built.redacted.keys() - {GONE, KEPT, REDACTED}

    assert len(sought) > 3 * COUNT
    assert len(redacted) == COUNT
    assert {place: found[place] for place in found if not place.startswith("originals")} == {}
    assert set().union(*found.values()) == sought
    assert _left_of_planted(built.planted, built.redacted) == built.planted.missed


def test_no_byte_of_a_forgotten_conversation_is_left(built: Built) -> None:
    command, layout = built.command, built.command.stack.layout
    before = {place for place, words in built.found.items() if WORD in words}

    customer = ("forget", "--customer", CUSTOMER["custom"]["patient_id"], "--json")
    planned = command.run(*customer, "--dry-run")
    told = command.run(*customer, "--yes")
    built.build()
    local_stack.vacuum(layout, print_nothing, ends_with_caller=True)
    after = built.restarted({WORD})
    again = command.push(built.root)

    assert {"bigquery: .parquet", "ci: .sqlite3", "gcs: .json", "originals: .json"} <= before
    assert "site: .html" in before
    assert [each["conversation_id"] for each in json.loads(planned.stdout)] == [GONE, REDACTED]
    assert [each["conversation_id"] for each in json.loads(told.stdout)] == [GONE, REDACTED]
    assert told.exit_code == 0
    assert after == {}
    assert again.states == {"unchanged": 1, "failed": 1}
    built.project.run(*BUILD)
