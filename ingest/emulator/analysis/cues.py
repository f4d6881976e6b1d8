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


TITLES = frozenset({"Mr", "Mrs", "Ms", "Miss", "Dr"})
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
        "January", "February", "March", "April", "May", "June", "July", "August", "September",
        "October", "November", "December", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
        "Saturday", "Sunday", "Christmas", "Easter",
    }
)  # fmt: skip
PERSON, LOCATION, ORGANIZATION, EVENT, CONSUMER_GOOD, OTHER = 1, 2, 3, 4, 6, 7
"""Numbers of Entity.Type."""
_NOUNS = {
    PERSON: "wife husband partner mother father mum dad son daughter child brother sister friend"
    " person supervisor manager lawyer judge doctor boss employer collector driver technician"
    " nurse patient landlord tenant executor accountant counsellor guarantor",
    LOCATION: "house property apartment hospital clinic branch store shop airport country city",
    ORGANIZATION: "bank company agency court police government ombudsman tribunal team department"
    " union insurer retailer business",
    EVENT: "meeting appointment emergency accident funeral divorce surgery hearing outage strike",
    CONSUMER_GOOD: "car vehicle phone laptop modem router meter fridge computer television",
    OTHER: "account loan mortgage payment repayment debt bill fee interest balance amount income"
    " salary wage pension budget money instalment arrangement plan contract agreement policy"
    " complaint dispute refund discount credit debit invoice statement receipt card email letter"
    " message app website password address birthday identity passport licence reference number"
    " job hardship illness treatment medicine insurance tax rent electricity gas water power"
    " internet service system transaction transfer deposit delivery parcel order booking ticket"
    " flight seat room subscription identification postcode situation problem mistake information"
    " detail document form evidence file record conversation feedback consequence option",
}
NOUNS = {word: kind for kind, words in _NOUNS.items() for word in words.split()}
"""Common nouns and what they are. Words that are verbs as often are left out."""
NOUN_FORMS = {
    **{word: word for word in NOUNS},
    **{
        f"{word.removesuffix('y')}ies" if re.search("[^aeiou]y$", word) else f"{word}s": word
        for word in NOUNS
    },
    **{f"{word}es": word for word in ("business", "tax", "illness", "branch")},
    "wives": "wife",
    "children": "child",
    "people": "person",
}
"""What a noun may look like."""
