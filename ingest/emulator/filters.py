"""Filters of list, export and bulk requests, made into SQL conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ingest.emulator.problems import unimplemented


@dataclass(frozen=True, slots=True)
class Condition:
    """An SQL condition on `conversations c`."""

    sql: str = "1"
    parameters: tuple[Any, ...] = ()


def compile_filter(text: str) -> Condition:
    """Return the condition that a filter stands for; an empty filter matches everything."""
    if text.strip():
        raise unimplemented("A filter")
    return Condition()
