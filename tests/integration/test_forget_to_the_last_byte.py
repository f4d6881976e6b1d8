"""A word of a forgotten conversation, looked for in every byte that a stack keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from push_command import Command
from stack_fixture import Stack, print_nothing

from ingest.cli.local import run_first_steps
from ingest.local import stack as local_stack
from ingest.local.layout import Layout, Service
from tests.fakes.folders import conversation_id, metadata, transcription, write
from tests.warehouse.dbt_runs import DbtProject

pytestmark = pytest.mark.stack
WORD = "Zyxomaquillon"
DATE = "2026-05-04"


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


def places(data_dir: Path) -> set[str]:
    """Return where the word is on disk, as the first folder and the kind of the file."""
    found = set()
    for file in sorted(path for path in data_dir.rglob("*") if path.is_file()):
        if "home" in file.relative_to(data_dir).parts:
            continue
        raw = file.read_bytes().lower()
        is_held = WORD.lower().encode() in raw
        if not is_held and file.suffix in (".parquet", ".duckdb", ".ducklake"):
            is_held = any(WORD.lower() in text.lower() for text in _texts(file))
        if is_held:
            found.add(f"{file.relative_to(data_dir).parts[0]}: {file.suffix}")
    return found


@pytest.fixture
def command(tmp_path: Path, stack_port_bases: Iterator[int]) -> Iterator[Command]:
    """Yield the command on a stack of the test's own."""
    layout = Layout(tmp_path / "data", next(stack_port_bases))
    state = local_stack.up(layout, list(Service), print_nothing, ends_with_caller=True)
    try:
        yield Command(Stack(layout, state, run_first_steps(layout, state, print_nothing)))
    finally:
        local_stack.down(layout, print_nothing)


def _restarted(command: Command, data_dir: Path) -> set[str]:
    """Return where the word is while nothing runs, and bring the stack up again."""
    layout = command.stack.layout
    local_stack.down(layout, print_nothing)
    found = places(data_dir)
    local_stack.up(layout, list(Service), print_nothing, ends_with_caller=True)
    return found


def test_no_byte_of_a_forgotten_conversation_is_left(command: Command, tmp_path: Path) -> None:
    gone, kept = conversation_id(1), conversation_id(2)
    layout, root = command.stack.layout, tmp_path / "in"
    said = transcription(gone, f"Hello, {WORD} here.", f"I am {WORD}, of {WORD} Street.")
    write(root, gone, DATE, transcription=said, metadata=metadata(gone, agent_name=WORD))
    write(root, kept, DATE)
    site = layout.data_dir / "site"
    endpoint = str(command.stack.settings.bigquery_endpoint)
    project = DbtProject(tmp_path / "dbt", endpoint, is_lean=True)
    build = ("build", "--select", "+ci_turns", "+conversation_registry_current")
    build = (*build, "--exclude", "resource_type:test", "resource_type:unit_test")
    assert command.push(root).exit_code == 0
    project.run(*build)
    assert command.run("site", "--with-pii", "--out", site).exit_code == 0
    before = _restarted(command, layout.data_dir)

    told = command.run("forget", gone, "--yes", "--json")
    project.run(*build)
    assert command.run("site", "--with-pii", "--out", site).exit_code == 0
    local_stack.vacuum(layout, print_nothing, ends_with_caller=True)
    after = _restarted(command, layout.data_dir)
    again = command.push(root)

    assert {"bigquery: .parquet", "ci: .sqlite3", "gcs: .json", "site: .html"} <= before
    assert told.exit_code == 0
    assert after == set()
    assert again.states == {"unchanged": 1, "failed": 1}
    project.run(*build)
