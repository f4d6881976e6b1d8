"""What the image would hold is enough to run, and holds nothing it shouldn't. No daemon needed."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
from pathlib import Path

import pytest
from installed import PROJECT, installed_with, run_with

from .workspace import REPOSITORY

_IMPORT_ALL = """
import importlib, pkgutil
import ingest
assert ingest.__file__.startswith({root!r}), ingest.__file__
for module in pkgutil.walk_packages(ingest.__path__, "ingest."):
    importlib.import_module(module.name)
from ingest.cli import main
main()
"""
_MOST_SIDECAR_BYTES = 90e6
"""Of installed files. Byte code adds a half, Debian with Python 125 MB: 250 MB in all."""
_MOST_EMULATOR_BYTES = 100e6
"""With byte code 150 MB."""


def lines_of(name: str) -> list[str]:
    return (REPOSITORY / name).read_text(encoding="utf-8").splitlines()


def copy_into(target: Path) -> None:
    """Copy `ingest` as .dockerignore lets it through."""
    left_out = [line for line in lines_of(".dockerignore") if line.startswith("ingest/")]
    removed = [re.findall(r"^RUN rm -r (ingest/\w+)", line) for line in lines_of("Dockerfile")]
    left_out += {folder for line in removed for folder in line}
    shutil.copytree(
        REPOSITORY / "ingest", target / "ingest", ignore=shutil.ignore_patterns("__pycache__")
    )
    for folder in left_out:
        shutil.rmtree(target / folder)


@pytest.mark.parametrize(
    ("command", "code", "shown"),
    [
        ("--help", 0, "push"),
        ("local status", 3, "install it with the extra `local`"),
    ],
)
def test_every_module_loads_without_emulators_dbt_and_their_packages(
    tmp_path: Path, command: str, code: int, shown: str
) -> None:
    copy_into(tmp_path)
    program = _IMPORT_ALL.format(root=str(tmp_path))
    (tmp_path / "in_image.py").write_text(program, encoding="utf-8")

    done = run_with("tracing", "in_image", *command.split(), folder=tmp_path)

    assert done.returncode == code, done.stderr[-2000:]
    assert shown in done.stdout + done.stderr


def test_each_image_installs_what_its_commands_need() -> None:
    installs = [
        re.findall(r"'\.\[([a-z,]+)\]'", line) for line in lines_of("Dockerfile") if "'.[" in line
    ]

    assert installs == [["tracing"], ["dbt,tracing"], ["emulator"]]


@pytest.mark.parametrize(
    ("extra", "most"), [("tracing", _MOST_SIDECAR_BYTES), ("emulator", _MOST_EMULATOR_BYTES)]
)
def test_what_is_installed_is_slim(extra: str, most: float) -> None:
    files = [
        file.locate()
        for name in installed_with(extra) - {PROJECT}
        for file in importlib.metadata.files(name) or ()
        if file.suffix != ".pyc"
    ]

    assert sum(Path(file).stat().st_size for file in files) < most


def test_the_emulator_s_image_starts_what_is_installed_there(tmp_path: Path) -> None:
    (entry,) = [line for line in lines_of("Dockerfile") if line.startswith("ENTRYPOINT ")]
    command, *arguments = json.loads(entry.removeprefix("ENTRYPOINT "))
    assert command == "insights-emulator"
    assert arguments[:2] == ["--host", "0.0.0.0"]

    done = run_with("emulator", "ingest.emulator", *arguments, "--help", folder=tmp_path)
    lacking = run_with("emulator", "ingest.emulator", *arguments, folder=tmp_path)

    assert (done.returncode, lacking.returncode) == (0, 2)
    assert "--gcs-endpoint" in done.stdout
    assert "the following arguments are required: --gcs-endpoint" in lacking.stderr


def test_base_is_pinned_and_the_process_is_nobody_special() -> None:
    instructions = [line for line in lines_of("Dockerfile") if re.match("[A-Z]+ ", line)]
    sources = [line.split()[1:4:2] for line in instructions if line.startswith("FROM ")]
    bases = [source for source, _ in sources if source not in {name for _, name in sources}]

    version = (REPOSITORY / ".python-version").read_text(encoding="utf-8").strip()
    pinned = rf"python:{re.escape(version)}(\.\d+)?-slim-\w+@sha256:[0-9a-f]{{64}}"
    assert len(bases) == 2
    assert bases[0] == bases[1]
    assert re.fullmatch(pinned, bases[0])
    assert [name for _, name in sources][-3:] == ["emulator", "sidecar", "dbt"]
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
