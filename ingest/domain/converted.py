"""What became of files of another system that were converted: every record is accounted for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Leftover:
    """A path that no field of ours holds, and the JSON types that were seen there."""

    path: str
    """`/` before each key, `[]` for the elements of a list; of an utterance it begins `turns[]`."""
    types: tuple[str, ...]
    conversations: int
    """In how many of the first 100 conversations, at least one."""


@dataclass(frozen=True)
class Refused:
    """A record that wasn't converted: where, why, and what would cure it."""

    file: str
    place: str
    """JSON pointer, line or block in the file; empty for all of it."""
    line: str
    """Key of the mapping that it didn't fit, for example `turns.start`; empty if none."""
    message: str
    hint: str


@dataclass(frozen=True)
class LeftOut:
    """A file or record that was left out on purpose, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Joined:
    """A conversation that several records make, in the order of their turns."""

    folder: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Warned:
    """What was odd, in how many conversations, and the first file of them."""

    rule: str
    place: str
    message: str
    count: int
    file: str


@dataclass(frozen=True)
class Converted:
    """What became of everything that was read: `read` is the sum of written, joined, refused and
    left out, where `joined` counts records that went into another's conversation."""

    read: int
    written: tuple[str, ...]
    joined_records: int
    joined: tuple[Joined, ...]
    refused: tuple[Refused, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[Warned, ...]
    leftovers: tuple[Leftover, ...]
