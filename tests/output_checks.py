"""Holds what commands print with `--json` against their published schemas."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from ingest.cli import COMMANDS
from ingest.cli._lazy import load_command
from ingest.schemas import output

SCHEMAS = Path(output.__file__).parent
_CHECKER = jsonschema.FormatChecker()
_MODES = {"errors": "--group", "diff": "--versions", "forget": "--dry-run"}
"""Options with which a command prints another type."""
_VERSION = re.compile(r"v\d+")


@_CHECKER.checks("date-time", raises=ValueError)
def _is_utc_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    dt.datetime.fromisoformat(value)
    return value.endswith("Z")


def commands_with_json() -> Iterator[str]:
    """Yield every command that has `--json`, or `--format` with json, as it is typed."""
    for name, place in COMMANDS.items():
        command = load_command(name, place)
        for verb, leaf in (getattr(command, "commands", None) or {"": command}).items():
            options = {option for each in leaf.params for option in each.opts}
            if options & {"--json", "--format"}:
                yield f"{name} {verb}".strip()


def output_name(arguments: Sequence[str]) -> str:
    """Return the name of the schema of what these arguments print."""
    name = arguments[0]
    if hasattr(load_command(name, COMMANDS[name]), "commands"):
        mode = "_explain" if "--explain" in arguments else ""
        return f"{name}_{arguments[1]}{mode}".replace("-", "_")
    if name == "show" and "--hop" in arguments:
        return f"show_{arguments[arguments.index('--hop') + 1]}"
    if name == "coach":
        return next(
            (f"coach_{mode}" for mode in ("queue", "agent") if f"--{mode}" in arguments), name
        )
    if name == "forget" and "--customer" in arguments:
        return f"forget_customer{'_dry_run' if '--dry-run' in arguments else ''}"
    if name == "diff" and any(map(_VERSION.fullmatch, arguments)):
        return "diff_versions"
    mode = _MODES.get(name)
    return f"{name}_{mode.strip('-').replace('-', '_')}" if mode in arguments else name


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """Return what judges outputs by the published schema of that name."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema, format_checker=_CHECKER)


def check_output(arguments: Sequence[str], stdout: str) -> None:
    """Raise ValidationError for JSON that is not as its schema says; without --json do nothing.

    A command that fails before it has a result prints none, which is no JSON.
    """
    if stdout and ("--json" in arguments or list(arguments[-2:]) == ["--format", "json"]):
        validator(output_name(arguments)).validate(json.loads(stdout))


def spoiled(printed: Any) -> Iterator[Any]:
    """Yield the output with one key too many, and without each of its own keys."""
    if isinstance(printed, list):
        yield from ([each, *printed[1:]] for first in printed[:1] for each in spoiled(first))
        return
    yield {**printed, "unheard_of": 1}
    for key in printed:
        yield {name: value for name, value in printed.items() if name != key}
