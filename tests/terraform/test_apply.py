"""Applying really runs the project's commands: against the local stack, with stand-in providers."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from stack_fixture import Stack

from .workspace import Toolbox, Workspace, make_workspace

pytestmark = [pytest.mark.terraform, pytest.mark.stack]

ROOT = "terraform/environments/dev"
VARIABLES = ("-var=project_id=local-project", "-var=project_number=123456789012")


@dataclass(frozen=True)
class Applied:
    """A root that has been applied once."""

    workspace: Workspace

    def terraform(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.workspace.terraform(ROOT, *arguments, "-input=false", "-no-color", *VARIABLES)

    def changes(self) -> dict[str, list[str]]:
        """Return what a plan would do: address to actions, without what stays."""
        planned = self.terraform("plan", "-detailed-exitcode", "-out=next.bin")
        assert planned.returncode in (0, 2), planned.stderr
        shown = self.workspace.terraform(ROOT, "show", "-json", "next.bin")
        return {
            change["address"]: change["change"]["actions"]
            for change in json.loads(shown.stdout)["resource_changes"]
            if change["change"]["actions"] not in (["no-op"], ["read"])
        }

    def ingest(self, *arguments: str) -> Any:
        """Run `ingest` as the provisioners did and return its JSON."""
        command = [str(Path(sys.executable).with_name("ingest")), *arguments, "--json"]
        result = subprocess.run(
            command,
            cwd=self.workspace.path,
            env={"PATH": "/usr/bin:/bin", **self.workspace.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)


@pytest.fixture(scope="module")
def applied(
    toolbox: Toolbox,
    served: dict[str, str],
    stack: Stack,
    tmp_path_factory: pytest.TempPathFactory,
) -> Applied:
    workspace = make_workspace(toolbox, tmp_path_factory.mktemp("applied"))
    assert workspace.init(ROOT).returncode == 0
    endpoints = {f"INGEST_{name.upper()}": value for name, value in stack.endpoints.items()}
    target = {
        "INGEST_PROJECT_ID": "local-project",
        "INGEST_BUCKET": "local-project-cc-dev",
        "INGEST_LOCATION": "us-central1",
    }
    workspace.environment = {**served, **endpoints, **target}
    done = Applied(workspace)
    result = done.terraform("apply", "-auto-approve")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr
    return done


def test_a_second_plan_is_empty(applied: Applied) -> None:
    assert applied.changes() == {}


def test_ci_holds_the_matchers_and_settings_of_the_files(applied: Applied) -> None:
    settings_file = str(applied.workspace.path / "terraform" / "insights_settings.yaml")

    matchers = applied.ingest("matchers", "plan", "--exit-code")
    settings = applied.ingest("settings", "plan", settings_file, "--exit-code")

    assert len(matchers["changes"]) == 5
    assert {matcher["change"] for matcher in matchers["changes"]} == {"keep"}
    assert settings == []


def test_a_changed_seed_applies_matchers_again_and_nothing_else(applied: Applied) -> None:
    rules = applied.workspace.path / "seeds" / "phrase_matcher_rules.csv"
    text = rules.read_text(encoding="utf-8")
    rules.write_text(text.replace("you will go to jail", "you will end up in jail"), "utf-8")

    planned = applied.changes()
    result = applied.terraform("apply", "-auto-approve")
    held = applied.ingest("matchers", "plan", "--exit-code")

    assert planned == {
        'module.conversation_insights.terraform_data.phrase_matchers["us-central1"]': [
            "delete",
            "create",
        ]
    }
    assert result.returncode == 0, result.stderr
    assert {matcher["change"] for matcher in held["changes"]} == {"keep"}
    assert applied.changes() == {}


def test_a_failing_command_fails_the_apply(applied: Applied) -> None:
    settings_file = applied.workspace.path / "terraform" / "insights_settings.yaml"
    text = settings_file.read_text(encoding="utf-8")
    settings_file.write_text(text.replace("en-US", "not a language"), encoding="utf-8")

    refused = applied.terraform("apply", "-auto-approve")
    settings_file.write_text(text, encoding="utf-8")

    said = " ".join(refused.stderr.replace("│", " ").split())
    assert refused.returncode == 1
    assert "local-exec provisioner error" in said
    assert "unusable settings: language_code" in said
