"""Words that give away a smart highlight or an entity, in the English of Australian call centres.

The names of the highlights are documented; the id of AUTHENTICATION_INFO is observed, the other two
are ours. Which sentences count is Google's secret; these cues are an assumption.
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


MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
AMBIGUOUS_MONTHS = frozenset({"March", "May", "August"})
"""Dates only when a day follows: at the start of a sentence they are other words."""
DAYS = frozenset(
    {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
    | {"Christmas", "Easter"}
)
TITLES = frozenset({"Mr", "Mrs", "Ms", "Miss", "Dr"})
STREETS = (
    "Street", "Road", "Avenue", "Lane", "Drive", "Court", "Crescent", "Place", "Parade",
    "Terrace", "Way", "Highway", "Boulevard", "Close", "Circuit", "Grove", "St", "Rd", "Ave",
)  # fmt: skip
ORGANIZATION_ENDS = frozenset(
    {"Bank", "Finance", "Financial", "Collections", "Recoveries", "Loans", "Credit", "Group"}
    | {"Insurance", "Energy", "Telecom", "Services", "Authority", "Limited", "Ltd", "Capital"}
    | {"Lending", "Union", "Council", "Hospital", "University", "Partners", "Solutions"}
)
ACRONYMS = frozenset({"AFCA", "ASIC", "ATO", "NAB", "ANZ", "Centrelink", "Medicare", "PayPal"})
PLACES: dict[str, tuple[str, ...]] = {
    "New": ("New South Wales", "New Zealand"),
    "Western": ("Western Australia",),
    "South": ("South Australia",),
    "Northern": ("Northern Territory",),
    "Gold": ("Gold Coast",),
    **{
        name: (name,)
        for name in (
            "Sydney", "Melbourne", "Brisbane", "Perth", "Adelaide", "Hobart", "Darwin",
            "Canberra", "Newcastle", "Geelong", "Cairns", "Townsville", "Wollongong", "Ballarat",
            "Bendigo", "Parramatta", "Australia", "Queensland", "Victoria", "Tasmania",
        )
    },
}  # fmt: skip
NO_NAMES = frozenset(
    {
        "I", "A", "An", "The", "And", "But", "Or", "So", "If", "It", "Its", "Is", "Are", "Was",
        "Were", "Am", "Be", "Been", "Do", "Does", "Did", "Have", "Has", "Had", "Can", "Could",
        "Will", "Would", "Should", "Shall", "Might", "Must", "You", "Your", "We", "Our", "They",
        "Their", "He", "She", "His", "Her", "My", "Me", "This", "That", "These", "Those", "There",
        "Here", "What", "When", "Where", "Why", "Who", "How", "Which", "Yes", "No", "Yeah", "Yep",
        "Nope", "Okay", "Ok", "Right", "Sure", "Well", "Look", "Just", "Not", "Now", "Then", "Oh",
        "Um", "Uh", "Er", "Hmm", "Ah", "Hi", "Hello", "Hey", "Good", "Great", "Thanks", "Thank",
        "Please", "Sorry", "Let", "For", "From", "To", "In", "On", "At", "Of", "By", "With", "As",
        "One", "Two", "Three", "All", "Any", "Some", "Because", "Before", "After", "Once", "Only",
        "Also", "Still", "Even", "Maybe", "Perhaps", "Actually", "Honestly", "Everything",
        "Nothing", "Something", "Somebody", "Nobody", "Take", "Give", "Tell", "Got", "Get", "Go",
        "Fine", "Perfect", "Absolutely", "Understood", "Alright", "Bye", "Goodbye", "Sir",
        "Madam", "Mate", "Same", "Like", "See", "Say", "Speaking", "Being", "Going", "Calling",
    }
)  # fmt: skip
