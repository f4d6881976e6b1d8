"""What the image would hold is enough to run, and holds nothing it shouldn't. No daemon needed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from .workspace import REPOSITORY

_IMPORT_ALL = """
import importlib, importlib.abc, pkgutil, sys
absent = set({absent!r})
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"not in the image: {{name}}")
sys.meta_path.insert(0, Absent())
sys.path.insert(0, {root!r})
import ingest
assert ingest.__file__.startswith({root!r}), ingest.__file__
for module in pkgutil.walk_packages(ingest.__path__, "ingest."):
    if not module.name.split(".")[-1].startswith({laptop_only!r}):
        importlib.import_module(module.name)
from ingest.cli import app
app(["--help"], prog_name="ingest")
"""
# Modules of packages in the `local` extra, as they are imported.
_LOCAL_ONLY = ("duckdb", "fake_gcs_server", "grpc_health", "grpc_reflection", "lark",
               "local_bigquery", "psutil", "vaderSentiment")  # fmt: skip
# Commands that need the folders left out: of no use in a job.
_LAPTOP_COMMANDS = ("local", "data", "_data")


def lines_of(name: str) -> list[str]:
    return (REPOSITORY / name).read_text(encoding="utf-8").splitlines()


def copy_into(target: Path) -> None:
    """Copy `ingest` as .dockerignore lets it through."""
    left_out = [line for line in lines_of(".dockerignore") if line.startswith("ingest/")]
    shutil.copytree(
        REPOSITORY / "ingest", target / "ingest", ignore=shutil.ignore_patterns("__pycache__")
    )
    for folder in left_out:
        shutil.rmtree(target / folder)


def test_every_command_of_a_job_loads_without_emulators_and_their_packages(
    tmp_path: Path,
) -> None:
    copy_into(tmp_path)
    program = _IMPORT_ALL.format(
        absent=_LOCAL_ONLY, root=str(tmp_path), laptop_only=_LAPTOP_COMMANDS
    )

    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert result.returncode == 0, result.stderr[-2000:]
    assert "push" in result.stdout


def test_packages_hidden_from_that_check_are_those_of_the_local_extra() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = " ".join(project["dependencies"]).lower()

    assert [name for name in _LOCAL_ONLY if name.lower().replace("_", "-") in needed] == []


def test_base_is_pinned_and_the_process_is_nobody_special() -> None:
    instructions = [line for line in lines_of("Dockerfile") if re.match("[A-Z]+ ", line)]
    bases = [line.split()[1] for line in instructions if line.startswith("FROM ")]

    version = (REPOSITORY / ".python-version").read_text(encoding="utf-8").strip()
    pinned = rf"python:{re.escape(version)}(\.\d+)?-slim-\w+@sha256:[0-9a-f]{{64}}"
    assert len(bases) == 2
    assert bases[0] == bases[1]
    assert re.fullmatch(pinned, bases[0])
    assert [line for line in instructions if line.startswith("USER ")] == ["USER coach"]


def test_everything_that_the_dockerfile_copies_is_let_through() -> None:
    let_through = {line[1:] for line in lines_of(".dockerignore") if line.startswith("!")}
    copied = {
        name
        for line in lines_of("Dockerfile")
        if line.startswith("COPY ") and "--from=" not in line
        for name in line.split()[1:-1]
    }

    assert copied == let_through
    assert [name for name in copied if not (REPOSITORY / name).exists()] == []


def test_conversations_stay_out_of_the_image() -> None:
    assert "seeds/conversations" in lines_of(".dockerignore")
