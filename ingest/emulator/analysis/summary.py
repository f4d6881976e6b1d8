"""A summary made of the transcript's own sentences: situation, action, resolution.

Section names and the Y/N of `resolution` are observed; the choice of sentences is an assumption.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.emulator.analysis.highlights import sentences
from ingest.emulator.analysis.turns import Turn

_ACTION = re.compile(
    r"\b(?:(?:I|we)['\u2019](?:ll|ve)|I will|I can|I have|we can|we will|let me)\b",
    re.IGNORECASE,
)
_RESOLVED = re.compile(
    r"\b(?:that works|sounds good|thank you so much|thanks for your help|perfect|great, thanks"
    r"|that's fine|that\u2019s fine|all good|agreed|i can do that|i appreciate)\b",
    re.IGNORECASE,
)
_LONG = 6
"""Words that make a sentence worth quoting."""


def summarize(turns: Sequence[Turn]) -> dict[str, str]:
    """Return the sections; `resolution` is Y when the customer agrees near the end."""
    customer = [turn for turn in turns if turn.is_customer]
    agent = [turn for turn in turns if not turn.is_customer]
    agreed = any(_RESOLVED.search(turn.text) for turn in customer[-4:])
    return {
        "situation": _first_long_sentence(customer),
        "action": _last_matching_sentence(agent),
        "resolution": "Y" if agreed else "N",
    }


def as_text(sections: dict[str, str]) -> str:
    """Return the sections as one text, each as name, line break, content (documented)."""
    return "\n\n".join(f"{name}\n{content}" for name, content in sections.items())


def _first_long_sentence(turns: Sequence[Turn]) -> str:
    every = [turn.text[start:end] for turn in turns for start, end in sentences(turn.text)]
    long = [sentence for sentence in every if len(sentence.split()) >= _LONG]
    return (long or every or [""])[0]


def _last_matching_sentence(turns: Sequence[Turn]) -> str:
    every = [turn.text[start:end] for turn in turns for start, end in sentences(turn.text)]
    matching = [sentence for sentence in every if _ACTION.search(sentence)]
    return (matching or every or [""])[-1]
