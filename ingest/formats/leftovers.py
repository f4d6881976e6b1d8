"""What of the files no field of ours holds, listed once: paths and types, never a value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.domain.converted import Leftover
from ingest.domain.faults import json_pointer
from ingest.formats.engine import Draft
from ingest.formats.times import type_name

_WALKED_WHOLE = 100
"""Of so many conversations every path is listed; after them only of keys that are new."""


class Leftovers:
    """Collects what drafts leave over."""

    def __init__(self) -> None:
        self._types: dict[str, set[str]] = {}
        self._counts: dict[str, int] = {}
        self._keys: set[str] = set()
        self._seen = 0

    def add(self, draft: Draft) -> None:
        """Take what a draft leaves over."""
        self._seen += 1
        found: dict[str, set[str]] = {}
        for path, value in _parts(draft):
            if self._seen > _WALKED_WHOLE and not self._is_new(path, value):
                continue
            for leaf, kind in _leaves(value, path):
                found.setdefault(leaf, set()).add(kind)
        for path, types in found.items():
            self._types.setdefault(path, set()).update(types)
            self._counts[path] = self._counts.get(path, 0) + 1

    def _is_new(self, path: str, value: Any) -> bool:
        keys = {f"{path}/{key}" for key in value} if isinstance(value, dict) else {path}
        if keys <= self._keys:
            return False
        self._keys |= keys
        return True

    def listed(self) -> tuple[Leftover, ...]:
        """Return every path, in order."""
        return tuple(
            Leftover(path, tuple(sorted(types)), self._counts[path])
            for path, types in sorted(self._types.items())
        )


def _parts(draft: Draft) -> Iterator[tuple[str, Any]]:
    yield "", draft.rest.get("fields")
    for other in draft.rest.get("not_turns", ()):
        yield "not_turns[]", other
    for turn in draft.turns:
        yield "turns[]", turn.get("source")


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(each, path + json_pointer(key))
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each, f"{path}[]")
    elif value is not None:
        yield path, type_name(value)
