"""A stack with every kind of conversation that a person would ask about."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click import unstyle
from click.testing import Result
from output_checks import check_output
from typer.testing import CliRunner

from ingest.cli import app
from ingest.cli.local import run_first_steps
from ingest.local import stack as local_stack
from ingest.local.layout import Layout, Service
from ingest.settings import Settings

SEEDS = Path(__file__).resolve().parents[1] / "seeds"
DATE = "2025-12-28"
ANALYSED = "317675af-a8f1-49fc-8481-dcefa6dc849e"
"""A seed that is pushed twice, the second time with another queue and another turn."""
LABELLED = "0624fb56-1435-44c7-97a6-ae66d07700c1"
"""A seed that is pushed as it is, with its labels landed, so that matchers are judged."""
PERSONAL = "1cfc27f8-d067-4ecc-8a54-b707d7ca9f44"
"""A seed with many personal details; pushed under another id, with markup in its first turn."""
FORGOTTEN = str(uuid.uuid5(uuid.NAMESPACE_OID, "forgotten"))
NICKNAME = "Bluey Tractorsson"
"""A detail in a metadata field that nobody declared."""
MARKUP = '<script>alert("planted")</script> \x1b]0;owned\x07 \u202egnirts'


@dataclass(frozen=True)
class People:
    """Settings of the stack, the folder that was pushed, and the ids by what became of them.

    The marts are built before the last conversation is forgotten, so they still hold it.
    """

    settings: Settings
    folder: Path
    endpoints: dict[str, str]
    waiting_id: str
    markup_id: str
    local_id: str
    refused_id: str
    forgotten_id: str
    pushes: list[Result] = field(default_factory=list)

    def run(self, *arguments: str, stdin: str | None = None, **settings: str) -> Result:
        """Return what the command did: exit code, stdout and stderr apart.

        `settings` are further variables of its environment. JSON is held against its schema.
        """
        environment = {**self.endpoints, **settings}
        result: Any = CliRunner().invoke(app, arguments, env=environment, input=stdin)
        check_output(arguments, result.stdout)
        return result

    def run_in_terminal(self, columns: int, *arguments: str) -> list[str]:
        """Return the lines that the command shows in a terminal of that many columns."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        unset = ("INGEST_", "COLUMNS", "LINES")
        around = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
        process = subprocess.Popen(
            [sys.executable, "-c", "from ingest.cli import main; main()", *arguments],
            stdout=theirs,
            stderr=subprocess.DEVNULL,
            env={**around, **self.endpoints},
        )
        os.close(theirs)
        shown = b""
        # A terminal whose last writer has gone gives an error where a pipe gives nothing.
        with contextlib.suppress(OSError):
            while more := os.read(ours, 65_536):
                shown += more
        os.close(ours)
        process.wait(timeout=60)
        return unstyle(shown.decode()).splitlines()

    def json(self, *arguments: str) -> Any:
        """Return what the command prints with --json."""
        result = self.run(*arguments, "--json")
        assert result.stdout, result.stderr
        return json.loads(result.stdout)

    def planted(self) -> set[str]:
        """Return the personal details of the pushed seeds, but for very short ones."""
        found = {NICKNAME}
        for seed in (ANALYSED, PERSONAL):
            truth_file = SEEDS / "conversations" / DATE / seed / "expected.json"
            truth = json.loads(truth_file.read_text(encoding="utf-8"))
            talk = json.loads(
                truth_file.with_name("transcription.json").read_text(encoding="utf-8")
            )
            for span in truth["pii_spans"]:
                text = talk["turns"][span["turn_index"]]["text"]
                found.add(text[span["start_char"] : span["end_char"]])
        return {detail for detail in found if len(detail) > 3}


@pytest.fixture(scope="session")
def people(
    tmp_path_factory: pytest.TempPathFactory, stack_port_bases: Iterator[int]
) -> Iterator[People]:
    """Yield a stack with a conversation of every kind, and marts that were built once."""
    folder = tmp_path_factory.mktemp("people")
    layout = Layout(folder / "stack", next(stack_port_bases))
    state = local_stack.up(layout, list(Service), lambda _: None, ends_with_caller=True)
    try:
        settings = run_first_steps(layout, state, lambda _: None)
        endpoints = {
            "INGEST_GCS_ENDPOINT": str(settings.gcs_endpoint),
            "INGEST_BIGQUERY_ENDPOINT": str(settings.bigquery_endpoint),
            "INGEST_INSIGHTS_ENDPOINT": str(settings.insights_endpoint),
            "INGEST_SEEDS_DIR": str(SEEDS),
        }
        names = ("waits", "markup", "local", "refused", "forgotten")
        ids = [str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in names]
        found = People(settings, folder / "source", endpoints, *ids)
        _write_and_push(found)
        _build_and_forget(found, folder / "dbt")
        yield found
    finally:
        local_stack.down(layout, lambda _: None)


def _write_and_push(people: People) -> None:
    metadata, talk = _seed(ANALYSED)
    _write(people, ANALYSED, metadata, talk)
    _write(people, people.waiting_id, metadata, None)
    _write(people, people.forgotten_id, metadata, talk)
    _write(people, LABELLED, *_seed(LABELLED))
    truth = SEEDS / "conversations" / DATE / LABELLED / "expected.json"
    shutil.copy(truth, people.folder / DATE / LABELLED)
    other_metadata, other = _seed(PERSONAL)
    hostile = {**other, "turns": [{**other["turns"][0], "text": MARKUP}, *other["turns"][1:]]}
    _write(people, people.markup_id, other_metadata, hostile)
    people.pushes.append(people.run("push", str(people.folder / DATE), "--log-format", "json"))
    changed = [*talk["turns"][:-1], {**talk["turns"][-1], "text": "Changed words."}]
    more = {"queue": "another-queue", "caller_nickname": NICKNAME}
    _write(people, ANALYSED, {**metadata, **more}, {**talk, "turns": changed})
    people.pushes.append(people.run("push", str(people.folder / DATE), "--log-format", "json"))
    _write(people, people.local_id, metadata, talk)
    _write(people, people.refused_id, {**metadata, "queue": ""}, talk)


def _build_and_forget(people: People, work_dir: Path) -> None:
    from tests.warehouse.dbt_runs import DbtProject

    landed = people.run("data", "land-truth", str(people.folder / DATE))
    assert landed.exit_code == 0, landed.output
    project = DbtProject(work_dir, str(people.settings.bigquery_endpoint), is_lean=True)
    project.run("build", "--exclude", "resource_type:test", "resource_type:unit_test")
    forgotten = people.run("forget", people.forgotten_id, "--yes")
    assert forgotten.exit_code == 0, forgotten.output
    shutil.rmtree(people.folder / DATE / people.forgotten_id)


def _seed(seed: str) -> tuple[dict[str, Any], dict[str, Any]]:
    folder = SEEDS / "conversations" / DATE / seed
    return (
        json.loads((folder / "metadata.json").read_text(encoding="utf-8")),
        json.loads((folder / "transcription.json").read_text(encoding="utf-8")),
    )


def _write(
    people: People, conversation_id: str, metadata: dict[str, Any], talk: dict[str, Any] | None
) -> None:
    folder = people.folder / DATE / conversation_id
    folder.mkdir(parents=True, exist_ok=True)
    for name, payload in (("metadata", metadata), ("transcription", talk)):
        if payload is not None:
            content = {**payload, "conversation_id": conversation_id}
            (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
