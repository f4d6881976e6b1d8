"""What the plan hands to the project's programs, judged by these programs themselves.

Terraform takes any text as a job's argument, a local-exec command or a log filter. Here the real
command lines parse every argument (without running anything), the real settings class knows every
variable, and the line that `ingest health` prints has every field that an alert compares.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from dbt.cli.main import cli as dbt_cli
from typer.main import get_command

from ingest.cli import app
from ingest.flows.health import Health
from ingest.settings import Settings

from .plan_policy import resources
from .workspace import REPOSITORY

_DATE_FOLDER = "gs://acme-coach-dev-cc-prod/2025-12-28"
_ENV_VAR = re.compile(r"env_var\('(\w+)'")
_FIELD = re.compile(r"jsonPayload\.(\w+)(=|>)")


def faults(plan: dict[str, Any]) -> list[str]:
    """Return what one of the programs doesn't understand."""
    found = list(_unknown_variables(plan)) + list(_unlogged_fields(plan))
    for place, words in command_lines(plan):
        problem = refusal(words)
        if problem is not None:
            found.append(f"{place}: `{shlex.join(words)}`: {problem}")
    return found


def command_lines(plan: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield each command line of jobs, of the workflow and of local-exec, with where it stands."""
    for resource in resources(plan):
        address, values = resource["address"], resource["values"]
        if resource["type"] == "google_cloud_run_v2_job":
            container = values["template"][0]["template"][0]["containers"][0]
            yield address, [*container["command"], *container["args"]]
        if resource["type"] == "google_workflows_workflow":
            for arguments in _override_arguments(yaml.safe_load(values["source_contents"])):
                yield address, ["ingest", *arguments]
    module = plan["configuration"]["root_module"]["module_calls"]["conversation_insights"]["module"]
    for resource in module["resources"]:
        for provisioner in resource.get("provisioners", []):
            yield resource["address"], _program(provisioner["expressions"]["command"])


def _program(expression: dict[str, Any]) -> list[str]:
    """Return the last program of a shell pipeline."""
    words = shlex.split(expression["constant_value"])
    last_pipe = max((place for place, word in enumerate(words) if word == "|"), default=-1)
    return words[last_pipe + 1 :]


def _override_arguments(node: Any) -> Iterator[list[str]]:
    """Yield the arguments of every container override, expressions replaced by a date folder."""
    if isinstance(node, dict):
        for override in node.get("containerOverrides", []):
            yield [_DATE_FOLDER if "${" in word else word for word in override["args"]]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _override_arguments(item)


def refusal(words: Sequence[str]) -> str | None:
    """Return why the program would refuse this command line, or None."""
    if words[0] == "sleep":
        return None if words[1:] and words[1].isdecimal() else "sleep takes seconds"
    programs = {"ingest": get_command(app), "dbt": dbt_cli}
    if words[0] not in programs:
        return f"{words[0]} isn't a program of the image"
    command: Any = programs[words[0]]
    rest, context = list(words[1:]), None
    try:
        while True:
            context = command.make_context(words[0], rest, parent=context)
            if not hasattr(command, "resolve_command"):
                return None
            rest = [*context._protected_args, *context.args]
            _, command, rest = command.resolve_command(context, rest)
    except Exception as error:  # noqa: BLE001 - of two click libraries, and the help's Exit
        return f"{type(error).__name__}: {getattr(error, 'message', error)}"


def _unknown_variables(plan: dict[str, Any]) -> Iterator[str]:
    known = {f"INGEST_{name.upper()}" for name in Settings.model_fields} | _read_by_dbt()
    for resource in resources(plan):
        if resource["type"] == "google_cloud_run_v2_job":
            container = resource["values"]["template"][0]["template"][0]["containers"][0]
            for variable in container["env"]:
                if variable["name"] not in known:
                    yield f"{resource['address']}: {variable['name']} is no setting"


def _read_by_dbt() -> set[str]:
    macros = sorted((REPOSITORY / "dbt_project" / "macros").glob("*.sql"))
    texts = [path.read_text(encoding="utf-8") for path in macros]
    return {name for text in texts for name in _ENV_VAR.findall(text)}


def _unlogged_fields(plan: dict[str, Any]) -> Iterator[str]:
    logged = Health(1, 1, 1, 1, 1.0, 1.0, 1.0, 1, 1.0, 1.0).log_line()
    for resource in resources(plan):
        for condition in resource["values"].get("conditions", []):
            for matched in condition.get("condition_matched_log", []):
                for field, _ in _FIELD.findall(matched["filter"]):
                    if field not in logged:
                        yield f"{resource['address']}: no line has the field {field}"
                if f'jsonPayload.event="{logged["event"]}"' not in matched["filter"]:
                    yield f"{resource['address']}: the filter names another event"
