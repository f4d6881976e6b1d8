"""Runs this repository's dbt project against a BigQuery endpoint, in this process."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from dbt.cli.main import dbtRunner

ROOT = Path(__file__).parents[2]
DEAD_ENDPOINT = "http://127.0.0.1:9"
_UNASKED = ("test_type:unit", "test_type:generic", "resource_type:seed")
BUILD_WITH_LAWS = ("build", "--exclude", *_UNASKED)
"""Seeds are there already; keys and words are asked in builds of other tests."""


@dataclass
class DbtProject:
    """The project with a profile of its own: endpoint and marts dataset are literals there."""

    work_dir: Path
    endpoint: str = DEAD_ENDPOINT
    dataset: str = "coach"
    variables: dict[str, Any] = field(default_factory=dict)
    is_lean: bool = False
    """Without contracts and comments on tables, which ask for a third of a build's statements and
    change no row. test_demo.py builds with them, and test_googlesql.py checks their SQL."""

    own_root: Path | None = None
    """Another project than the repository's own: with other seeds and variables."""

    @property
    def target(self) -> Path:
        return self.work_dir / "target"

    @property
    def root(self) -> Path:
        return self.own_root or (lean_root() if self.is_lean else ROOT)

    def run(self, *arguments: str) -> None:
        """Run one dbt command; fail the test with dbt's own messages where it fails."""
        profiles = self._profiles()
        parsed = self.target / "partial_parse.msgpack"
        twin = (self.root, self.dataset, json.dumps(self.variables, sort_keys=True))
        if not parsed.exists() and twin in _PARSED and _PARSED[twin].exists():
            self.target.mkdir(parents=True, exist_ok=True)
            shutil.copy(_PARSED[twin], parsed)
        result = dbtRunner().invoke(
            [
                "--quiet",
                "--no-version-check",
                "--no-use-colors",
                *arguments,
                "--project-dir",
                str(self.root),
                "--profiles-dir",
                str(profiles),
                "--target-path",
                str(self.target),
                "--log-path",
                str(self.work_dir / "logs"),
                "--vars",
                json.dumps(self.variables),
            ]
        )
        assert result.success, self._messages(result)
        _PARSED[twin] = parsed

    def manifest(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.target / "manifest.json").read_text("utf-8"))
        return loaded

    def _profiles(self) -> Path:
        text = (ROOT / "profiles.example.yml").read_text(encoding="utf-8")
        profiles = yaml.safe_load(text)
        local = profiles["conversation_coach"]["outputs"]["local"]
        local |= {"api_endpoint": self.endpoint, "dataset": self.dataset}
        profiles["conversation_coach"]["target"] = "local"
        folder = self.work_dir / "profiles"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "profiles.yml").write_text(yaml.safe_dump(profiles), encoding="utf-8")
        return folder

    @staticmethod
    def _messages(result: Any) -> str:
        if result.exception is not None:
            return str(result.exception)
        failed = [r for r in result.result if str(r.status) in ("error", "fail", "skipped")]
        return "\n".join(f"{r.node.name}: {r.status}: {r.message}" for r in failed)


_PARSED: dict[tuple[Path, str, str], Path] = {}
"""Where dbt keeps what it parsed, by project root, dataset and variables: the next of the same
parses nothing. dbt compares it with the files."""


@cache
def lean_root() -> Path:
    """Return the project without contracts and comments: one for all tests of this process."""
    folder = Path(tempfile.mkdtemp(prefix="lean-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("dbt_project", "seeds", "tests"):
        (folder / name).symlink_to(ROOT / name)
    settings = yaml.safe_load((ROOT / "dbt_project.yml").read_text(encoding="utf-8"))
    models = settings["models"]["conversation_coach"]
    del models["+persist_docs"], models["marts"]["+contract"]
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return folder
