"""Which distributions an extra brings, and Python as it is where the others aren't installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "conversation-coach"
_WITHOUT = """
import importlib.abc, runpy, sys
from pathlib import Path
hidden = set(Path(sys.argv[1]).read_text().split())
class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
del sys.argv[:2]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def required(project: str, extra: str = "") -> Iterator[Requirement]:
    """Yield what a distribution requires here, with one of its extras or ("") without any."""
    for text in distribution(project).requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


@cache
def direct(extra: str = "") -> frozenset[str]:
    """Return the distributions that base and an extra of this project name."""
    named: set[str] = set()
    for requirement in required(PROJECT, extra):
        if canonicalize_name(requirement.name) == PROJECT:
            named |= {name for each in requirement.extras for name in direct(each)}
        else:
            named.add(canonicalize_name(requirement.name))
    return frozenset(named)


@cache
def installed_with(extra: str = "") -> frozenset[str]:
    """Return every distribution that `pip install conversation-coach[extra]` brings."""
    found: set[tuple[str, str]] = set()
    waiting = [(PROJECT, ""), (PROJECT, extra)]
    while waiting:
        name, its_extra = waiting.pop()
        if (name, its_extra) in found:
            continue
        found.add((name, its_extra))
        try:
            requirements = list(required(name, its_extra))
        except PackageNotFoundError:
            continue
        for each in requirements:
            waiting += [(canonicalize_name(each.name), extra) for extra in ("", *each.extras)]
    return frozenset(name for name, _ in found)


@cache
def modules() -> dict[str, str]:
    """Return the distribution of every importable module that is installed, but of ours."""
    return {
        module: name
        for each in distributions()
        if (name := canonicalize_name(each.name)) != PROJECT
        for module in _modules_of(each)
    }


def distribution_of(*names: str) -> str | None:
    """Return the distribution of the first of the modules, or of the package that holds it."""
    for name in names:
        parts = name.split(".")
        for end in range(len(parts), 0, -1):
            if found := modules().get(".".join(parts[:end])):
                return found
    return None


def run_with(
    extra: str, module: str, *arguments: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run a module as if base and an extra alone were installed."""
    there = installed_with(extra)
    hidden = folder / "hidden.txt"
    lacking = {name for name, of in modules().items() if of not in there}
    roots = (name for name in lacking if name.rpartition(".")[0] not in lacking)
    hidden.write_text("\n".join(roots), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT, str(hidden), module, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _modules_of(each: Distribution) -> Iterable[str]:
    for file in each.files or ():
        if file.suffix not in {".py", ".so"} or file.parts[0] in {"..", "bin"}:
            continue
        *folders, last = file.parts
        stem = last.split(".")[0]
        yield ".".join(folders if stem == "__init__" else [*folders, stem])
