"""Every command is declared, described, and starts light."""

from __future__ import annotations

import importlib.metadata
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import typer
from output_checks import commands_with_json, output_name
from typer.testing import CliRunner

from ingest.cli import COMMANDS, app
from ingest.cli._lazy import load_command
from tests.output_schemas import FOLDER, OUTPUTS, text_of

_MOST_HELP_SEC = 0.15
_BARE_SEC = 0.035
_HEAVY = (
    "pydantic",
    "google.auth",
    "google.api_core",
    "grpc",
    "rich",
    "jinja2",
    "matplotlib",
    "dbt",
)


def _leaves() -> Iterator[tuple[str, Any]]:
    for name, place in COMMANDS.items():
        command = load_command(name, place)
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield name, command
            for verb, leaf in inner.items():
                yield f"{name} {verb}", leaf


def test_the_help_of_all_commands_names_each_with_its_summary() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())

    expected = [f"{name} {place.summary}" for name, place in COMMANDS.items()]
    assert [line for line in expected if line not in shown] == []


@pytest.mark.parametrize(
    ("name", "command"), [pytest.param(*leaf, id=leaf[0]) for leaf in _leaves()]
)
def test_help_of_a_command_ends_in_an_example_of_that_command(name: str, command: Any) -> None:
    help_ = command.get_help(typer.Context(command, info_name=f"ingest {name}"))

    last = help_.rstrip().split("\n")[-1].strip()
    assert last.startswith(f"Example: ingest {name}"), help_


def test_the_help_of_all_commands_ends_in_an_example() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout

    assert shown.rstrip().split("\n")[-1] == "Example: ingest push seeds/conversations/2025-12-28"


def test_the_version_is_that_of_the_package() -> None:
    expected = f"ingest {importlib.metadata.version('conversation-coach')}\n"

    assert CliRunner().invoke(app, ["--version"]).stdout == expected


def test_help_of_all_commands_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom ingest.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        f"print([name for name in {_HEAVY!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_help_takes_at_most_150_ms_of_a_quiet_processor() -> None:
    bare = _processor_sec("pass")
    help_ = _processor_sec("import sys; sys.argv[1:] = ['-h']; from ingest.cli import main; main()")

    # A busy or slow machine takes longer for an empty program in the same proportion, give or take
    # the half that two runs of one program differ by on a shared machine.
    assert help_ <= 1.5 * _MOST_HELP_SEC * max(1.0, bare / _BARE_SEC)


def _processor_sec(code: str) -> float:
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_published_schema_of_an_output_is_the_one_its_type_gives(name: str) -> None:
    published = (FOLDER / f"{name}.schema.json").read_text(encoding="utf-8")

    assert published == text_of(name), "run `python -m tests.output_schemas`"


def test_every_command_that_prints_json_has_a_published_schema() -> None:
    wanted = {output_name(command.split()) for command in commands_with_json()}
    published = {file.name.removesuffix(".schema.json") for file in FOLDER.glob("*.schema.json")}

    assert wanted - published == set()
    assert published == set(OUTPUTS)
    assert len(wanted) > 40


@pytest.mark.parametrize("name", OUTPUTS)
def test_every_object_of_a_schema_says_all_its_keys(name: str) -> None:
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)

    declared = [
        part
        for part in (schema, *schema.get("$defs", {}).values())
        if "properties" in part and part.get("title") is not None
    ]

    for part in declared:
        assert part["additionalProperties"] is False
        assert part["required"] == sorted(part["properties"])


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(app, ["nonsense"])

    assert result.exit_code == 2
    assert result.stdout == ""
