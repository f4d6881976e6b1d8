"""The rebuilt schema says what the provider's documentation says, and the roots rely on it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .provider_schema import types_used
from .workspace import MODULE, REPOSITORY, Toolbox

pytestmark = pytest.mark.terraform


def schema_of(toolbox: Toolbox, provider: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((toolbox.mirror / f"{provider}.json").read_text("utf-8"))
    return schema


def test_both_providers_are_of_one_version(toolbox: Toolbox) -> None:
    versions = {schema_of(toolbox, name)["version"] for name in ("google", "google-beta")}

    assert versions == {"8.7.0"}


def test_every_type_in_use_was_found(toolbox: Toolbox) -> None:
    used = types_used((REPOSITORY / "terraform").rglob("*.tf"))
    beta = schema_of(toolbox, "google-beta")
    held = set(beta["resources"]) | {f"data.{name}" for name in beta["data_sources"]}

    assert len(used) >= 35
    assert used - held == set()


def test_service_identity_exists_in_beta_only(toolbox: Toolbox) -> None:
    name = "google_project_service_identity"

    assert name not in schema_of(toolbox, "google")["resources"]
    assert schema_of(toolbox, "google-beta")["resources"][name]["attributes"]["service"] == {
        "type": "string",
        "required": True,
    }


def test_blocks_attributes_and_what_the_provider_computes_are_told_apart(toolbox: Toolbox) -> None:
    bucket = schema_of(toolbox, "google")["resources"]["google_storage_bucket"]

    assert bucket["attributes"]["location"] == {"type": "string", "required": True}
    assert bucket["attributes"]["self_link"] == {"type": "string", "computed": True}
    assert bucket["attributes"]["labels"] == {"type": ["map", "string"], "optional": True}
    rule = bucket["blocks"]["lifecycle_rule"]
    assert (rule["nesting"], rule["min"], rule["max"]) == ("list", 0, 0)
    action = rule["block"]["blocks"]["action"]
    assert (action["nesting"], action["min"], action["max"]) == ("set", 1, 1)
    assert bucket["blocks"]["timeouts"]["nesting"] == "single"


def test_nothing_was_left_without_a_type(toolbox: Toolbox) -> None:
    for provider in ("google", "google-beta"):
        assert '"dynamic"' not in (toolbox.mirror / f"{provider}.json").read_text("utf-8")


def test_readme_says_what_each_role_is_for() -> None:
    readme = (REPOSITORY / "terraform" / "README.md").read_text(encoding="utf-8")
    granted = {
        role
        for path in (REPOSITORY / MODULE).glob("*.tf")
        for role in re.findall(r'"roles/([\w.]+)"', path.read_text(encoding="utf-8"))
    }

    unnamed = {
        role for role in granted if role not in readme and role.split(".", 1)[1] not in readme
    }
    assert len(granted) >= 15
    assert unnamed == set()


@pytest.mark.parametrize(("ci", "said"), [("true", "1 failed"), ("", "1 xfailed")])
def test_a_machine_without_terraform_is_told_so(ci: str, said: str) -> None:
    here = os.environ["PATH"].split(os.pathsep)
    path = [folder for folder in here if not (Path(folder) / "terraform").exists()]
    test = f"{__file__}::test_both_providers_are_of_one_version"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]

    result = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "PATH": os.pathsep.join(path), "CI": ci},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    told = re.sub(r"1 error", "1 failed", result.stdout)
    assert said in told
    assert "nothing under terraform/ has been checked" in result.stdout
