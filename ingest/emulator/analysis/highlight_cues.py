"""The three smart highlights and the words that show them.

The names are documented; the id of AUTHENTICATION_INFO is observed, the other two are ours. Which
sentences count is Google's secret; these cues are an assumption.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Highlight:
    """An intent and the sentences that show it."""

    id: str
    display_name: str
    keys: frozenset[str]
    """Words without one of which the cue finds nothing."""
    cue: re.Pattern[str]


HIGHLIGHTS = (
    Highlight(
        "d7d55546-53b8-41f8-af02-f3afb53084c3",
        "AUTHENTICATION_INFO",
        frozenset(
            {"birth", "birthday", "name", "surname", "address", "postcode", "number", "question"}
            | {"code", "four", "identity", "password", "pin", "speaking"}
        ),
        re.compile(
            r"\b(?:confirm|verify|provide|give me|tell me|have|can i get|what(?:'s| is))\b"
            r"[^.?!]*\b(?:date of birth|birthday|full name|your name|surname|address|postcode"
            r"|account number|customer number|reference number|security (?:question|code)"
            r"|last four|identity|email address|phone number|mobile number|password|pin)\b"
            r"|\bspeaking (?:with|to)\b[^.!]*\?",
            re.IGNORECASE,
        ),
    ),
    Highlight(
        "5c1f8e0a-7d0c-4c56-9c53-2b6b1f0f9a11",
        "CHECK_ISSUE_RESOLVED",
        frozenset(
            {"else", "help", "answer", "sort", "resolve", "make", "resolved", "sorted"}
            | {"answered", "okay", "right", "clear"}
        ),
        re.compile(
            r"\b(?:anything|something) else\b|\b(?:does|did) that (?:help|answer|sort|resolve|make"
            r" sense)\b|\b(?:is|are|was) (?:that|this|everything|your (?:issue|question|concern))"
            r"[^.!]*\b(?:resolved|sorted|answered|okay|all right|clear)\b[^.!]*\?",
            re.IGNORECASE,
        ),
    ),
    Highlight(
        "9f3a4c1d-52a6-4a52-8f0e-6e0f9a7d2c47",
        "CONFIRM_ISSUE_RESOLVED",
        frozenset({"resolved", "sorted", "set", "fixed", "locked", "place", "taken", "updated"}),
        re.compile(
            r"\b(?:i(?:'ve| have)|we(?:'ve| have)|that(?:'s| is| has been)|it(?:'s| is| has been)"
            r"|everything(?:'s| is))\b[^.?!]*\b(?:resolved|sorted|all set|fixed|set up|locked in"
            r"|in place|taken care of|updated)\b",
            re.IGNORECASE,
        ),
    ),
)
