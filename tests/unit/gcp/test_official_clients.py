"""Adapters use what Google's clients document: nothing whose name begins with an underscore."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import ingest.gcp

FILES = sorted(Path(ingest.gcp.__file__).parent.glob("*.py"))
OWN = ("self", "cls")


def private_uses(source: str) -> list[str]:
    """Return attributes, arguments and imports that are private to somebody else."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            is_own = isinstance(node.value, ast.Name) and node.value.id in OWN
            names = [] if is_own else [node.attr]
        elif isinstance(node, ast.keyword):
            names = [node.arg or ""]
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [name for alias in node.names for name in alias.name.split(".")]
        else:
            continue
        found += [
            f"line {node.lineno}: {name}"
            for name in names
            if name.startswith("_") and not name.startswith("__")
        ]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_adapter_touches_nothing_private_of_a_client(path: Path) -> None:
    assert private_uses(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("client._http.mount('x', pool)", ["line 1: _http"]),
        ("self._client._connection", ["line 1: _connection"]),
        ("storage.Client(_http=session)", ["line 1: _http"]),
        ("from google.cloud.storage._http import Connection", ["line 1: _http"]),
        ("import google.cloud._http", ["line 1: _http"]),
        ("from google.cloud.bigquery import _helpers", ["line 1: _helpers"]),
        ("self._client.close(); vars(self).__len__()", []),
    ],
)
def test_each_private_use_is_found(source: str, expected: list[str]) -> None:
    assert private_uses(source) == expected


def test_there_are_at_most_nine_adapters() -> None:
    assert len(FILES) - 1 <= 9
