"""Names that switches take, checked: a misspelt one would switch nothing and say nothing."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from ingest.errors import InputError

EVERY = "*"


def check_name(name: str, known: Collection[str], what: str) -> None:
    """Raise InputError unless `name` is known or `*`; the hint is the likeliest name."""
    if name == EVERY or name in known:
        return
    close = difflib.get_close_matches(name, sorted(known), 1)
    hint = f"did you mean {close[0]}?" if close else f"use one of {', '.join(sorted(known))} or *"
    raise InputError(f"there is no {what} {name!r}", hint)


def checked_seconds(seconds: object, most: int) -> float:
    """Return seconds from 0 to `most`; raise InputError for anything else."""
    # No comparison holds of NaN, so it is refused too.
    if not isinstance(seconds, bool) and isinstance(seconds, int | float) and 0 <= seconds <= most:
        return float(seconds)
    raise InputError(f"{seconds!r} are no seconds", f"give a number from 0 to {most}")
