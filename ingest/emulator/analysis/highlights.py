"""Smart highlights: the three intents that exist, one annotation per sentence of an agent.

The names are documented; the id of AUTHENTICATION_INFO is observed, the other two are ours. Which
sentences count is Google's secret; these cues are an assumption.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ingest.emulator.analysis.highlight_cues import HIGHLIGHTS, Highlight
from ingest.emulator.analysis.turns import Span, Turn, chars

_SENTENCE = re.compile(r"[^.!?]*[.!?]+(?=\s|$)|[^.!?]+(?=$)|[^.!?]*[.!?]+")


def find_highlights(turns: Sequence[Turn]) -> list[tuple[Highlight, Span]]:
    """Return the highlighted sentences of human and automated agents, in transcript order."""
    found: list[tuple[Highlight, Span]] = []
    for turn in turns:
        if turn.is_customer:
            continue
        possible = 0
        for token in turn.tokens:
            possible |= token.highlights
        if not possible:
            continue
        shown = [
            highlight
            for number, highlight in enumerate(HIGHLIGHTS)
            if possible >> number & 1 and highlight.cue.search(turn.text)
        ]
        if not shown:
            continue
        for start, end in sentences(turn.text):
            sentence = turn.text[start:end]
            found.extend(
                (highlight, chars(turn, start, end))
                for highlight in shown
                if highlight.cue.search(sentence)
            )
    return found


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Yield the character spans of sentences without surrounding white space."""
    for match in _SENTENCE.finditer(text):
        raw = match.group()
        stripped = raw.strip()
        if stripped:
            start = match.start() + len(raw) - len(raw.lstrip())
            yield start, start + len(stripped)
