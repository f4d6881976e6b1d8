"""Print the changelog's section of a release: `release_notes.py v1.2.3`.

Exits with 1 where the tag isn't pyproject's version, or the changelog says nothing of it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def notes(tag: str, changelog: str, version: str) -> str:
    """Return the section's text; raise ValueError where there is none to publish."""
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, pyproject.toml says {version}: they must agree")
    found = re.search(
        rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)", changelog, re.M | re.S
    )
    if found is None or not found[1].strip():
        raise ValueError(f"CHANGELOG.md has no section [{version}]: rename [Unreleased] first")
    return found[1].strip() + "\n"


def main() -> int:
    """Print the notes of the tag that is given."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    try:
        print(notes(sys.argv[1], (ROOT / "CHANGELOG.md").read_text("utf-8"), version), end="")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
