"""Fixtures of Terraform's checks; without the terraform command nothing passes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .workspace import (
    MODULE,
    ROOTS,
    Toolbox,
    Workspace,
    attached,
    find_terraform,
    make_workspace,
    prepare_toolbox,
)

_ABSENT = "terraform isn't on this machine: nothing under terraform/ has been checked"


@pytest.fixture(scope="session")
def toolbox() -> Toolbox:
    """Tools and stand-in providers. No terraform: a failure in CI, an expected one elsewhere."""
    terraform = find_terraform()
    if terraform is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{_ABSENT}; Insights has to provide it")
        pytest.xfail(_ABSENT)
    return prepare_toolbox(terraform)


@pytest.fixture(scope="session")
def served(toolbox: Toolbox) -> Iterator[dict[str, str]]:
    """Stand-ins that stay for the session."""
    with attached(toolbox) as environment:
        yield environment


@pytest.fixture(scope="session")
def workspace(
    toolbox: Toolbox, served: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    """A copy whose roots are all initialised; tests leave its files as they were."""
    made = make_workspace(toolbox, tmp_path_factory.mktemp("terraform"))
    for root in (*ROOTS, MODULE):
        result = made.init(root)
        assert result.returncode == 0, f"init of {root}:\n{result.stdout}{result.stderr}"
    made.environment = served
    return made


@pytest.fixture
def fresh(toolbox: Toolbox, tmp_path: Path) -> Workspace:
    """A copy nobody has initialised, with providers that Terraform starts itself."""
    return make_workspace(toolbox, tmp_path)
