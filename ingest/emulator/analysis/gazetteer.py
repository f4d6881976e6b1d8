"""Words that give an entity away, for English as it is spoken in Australian contact centres."""

from __future__ import annotations

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
