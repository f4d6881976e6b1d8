"""The example that ends each help page runs as it stands, in a checkout with a stack of its own."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.cli import COMMANDS, app
from ingest.cli._lazy import load_command
from ingest.cli.local import run_first_steps
from ingest.local import stack as local_stack
from ingest.local.layout import Layout, Service

pytestmark = pytest.mark.stack
REPOSITORY = Path(__file__).resolve().parents[2]
LAST = ("matchers destroy", "scorecards destroy", "local down", "local reset")
"""Commands after which others have nothing to work on."""
ELSEWHERE = ("acceptance",)
"""It runs for minutes, and has a test of its own."""
ENDS_OTHERWISE = {"verify": 1, "ls marts": 2, "coach": 2, "build": 1, "topics train": 2} | {
    "data coaching-report": 2,
    "rubric plan": 2,
    "migrate cc-coach": 2,
}
"""The folder has no dbt project and so no marts, nothing of another pipeline, few conversations."""


def _examples() -> Iterator[tuple[str, str]]:
    for name, place in COMMANDS.items():
        command = load_command(name, place)
        inner = getattr(command, "commands", None)
        for verb, leaf in (inner or {"": command}).items():
            yield f"{name} {verb}".strip(), leaf.epilog.partition("Example: ingest ")[2]


@pytest.fixture
def checkout(
    tmp_path: Path, stack_port_bases: Iterator[int], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Yield a folder that looks like a clone, where `.local` holds a running stack."""
    for name in ("seeds", "terraform", "tests", "profiles.example.yml"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    monkeypatch.chdir(tmp_path)
    layout = Layout((tmp_path / ".local").resolve(), next(stack_port_bases))
    state = local_stack.up(layout, list(Service), lambda _: None, ends_with_caller=True)
    try:
        run_first_steps(layout, state, lambda _: None)
        yield tmp_path
    finally:
        local_stack.down(layout, lambda _: None)


def test_every_example_ends_well(checkout: Path) -> None:
    given = (example for example in _examples() if example[0] not in ELSEWHERE)
    examples = sorted(given, key=lambda example: (example[0] in LAST, example[0] == LAST[-1]))

    ends = {}
    for command, example in examples:
        result = CliRunner().invoke(app, shlex.split(example))
        if result.exit_code != ENDS_OTHERWISE.get(command, 0):
            ends[example] = (result.exit_code, result.stderr[-500:], repr(result.exception))

    assert ends == {}
    assert len(examples) > 40
