"""What the annotators know about a piece of text between white space, whatever stands around it.

One look at a table gives all of it: a call has hundreds of words, and few that weren't said before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.domain.phrase_matching import words_of_token
from ingest.domain.remembered import Remembered
from ingest.emulator.analysis import gazetteer
from ingest.emulator.analysis.highlight_cues import HIGHLIGHTS
from ingest.emulator.analysis.lexicon import analyzer

NAME_START = re.compile(r"(?<![A-Za-z0-9'\u2019])(?:A\$|[0-9$+]|[A-Z][A-Za-z&]+)")


_KEYS = frozenset[str]().union(*(highlight.keys for highlight in HIGHLIGHTS))


@dataclass(slots=True, eq=False)
class Token:
    """One piece of text; it is itself its only equal, and is shared by all turns that say it."""

    bare: str
    lower: str
    is_known: bool
    """For the sentiment; see Word."""
    phrase_words: tuple[str, ...] | None
    """For phrases; see SegmentText.words."""
    highlights: int
    """One bit for each of HIGHLIGHTS, set when its cue may have such a word."""
    may_name: bool
    """For entities: whether a name, a date or a number may begin in it."""


def _token(text: str) -> Token:
    may_name = not all(word in gazetteer.NO_NAMES for word in NAME_START.findall(text))
    words = words_of_token(text)
    return Token(*analyzer().word(text), words, _highlights(words), may_name)


def _highlights(words: tuple[str, ...] | None) -> int:
    if words is not None and _KEYS.isdisjoint(words):
        return 0
    return sum(
        1 << number
        for number, highlight in enumerate(HIGHLIGHTS)
        if words is None or not highlight.keys.isdisjoint(words)
    )


TOKENS = Remembered(_token)
"""Tokens by their text."""
