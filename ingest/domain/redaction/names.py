"""Names of people: by introduction, by answer, and by a capital where no ordinary word has one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass

from ingest.domain.redaction.numbers import NUMBER_WORDS, Word
from ingest.domain.redaction.turn import (
    FIRM_WORDS,
    NAMES_OF_MONTHS,
    ORDINALS,
    Kind,
    Span,
    Turn,
    Vocabulary,
    is_capitalised,
)

_PLACE_BEFORE = frozenset(["in", "at", "near", "past", "around", "outside", "via", "out"])
_MOVES = frozenset(
    [
        "been",
        "drive",
        "driving",
        "drove",
        "fly",
        "flew",
        "flying",
        "move",
        "moved",
        "moving",
        "back",
        "over",
        "up",
    ]
)
_ARTICLES = frozenset(["the", "an", "your", "our", "every", "next", "last"])
_PLACE_PREFIXES = frozenset(
    [
        "port",
        "mount",
        "mt",
        "lake",
        "cape",
        "point",
        "saint",
        "north",
        "south",
        "east",
        "west",
        "upper",
        "lower",
    ]
)
_RELATIONS = frozenset(["aunt", "aunty", "auntie", "uncle", "cousin"])
_ENDINGS_OF_WORDS = (
    "ing",
    "ly",
    "ed",
    "tion",
    "sion",
    "ment",
    "ness",
    "able",
    "ible",
    "less",
    "ful",
    "ous",
    "est",
    "ity",
)
_PARTICLES = re.compile(
    r"[ -]|[ -]?(?:al|el|bin)-| [A-Z]\.? "
    r"|,? (?:de|da|di|del|van|der|den|von|la|le|bin|al|el|ter|te)(?: (?:der|den|la))? ",
    re.IGNORECASE,
)
_FAMILY = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "mx",
        "miss",
        "dr",
        "aunt",
        "aunty",
        "auntie",
        "uncle",
        "nanna",
        "granny",
        "grandma",
        "grandpa",
    ]
)
_SHORT_ANSWER = 6
_DATES_BEFORE = frozenset(
    [
        "in",
        "of",
        "by",
        "until",
        "till",
        "since",
        "late",
        "early",
        "mid",
        "last",
        "next",
        "this",
        "during",
        "before",
        "after",
        "for",
        "end",
        "from",
    ]
) | frozenset(ORDINALS)
_NAMED_BY = frozenset(["name's", "name\u2019s", "called", "named"])
_INTRODUCES = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "mx",
        "miss",
        "dr",
        "son",
        "daughter",
        "wife",
        "husband",
        "partner",
        "brother",
        "sister",
        "mum",
        "dad",
        "friend",
        "mate",
        "neighbour",
        "boss",
        "for",
        "under",
        "me",
        "this",
        "it's",
        "it\u2019s",
        "is",
        "i'm",
        "i\u2019m",
        "name's",
        "name\u2019s",
        "called",
        "named",
        "with",
        "to",
        "you've",
        "hi",
        "hello",
        "hey",
        "thanks",
        "cheers",
        "morning",
        "afternoon",
        "evening",
        "bye",
        "sorry",
        "got",
        "be",
        "told",
        "tell",
        "ask",
        "asked",
        "met",
        "rang",
        "rung",
        "from",
        "and",
        "that",
        "spoke",
    ]
)


@dataclass(frozen=True)
class Names:
    """Finds names; `names` are the words of names that the conversation has shown so far."""

    _vocabulary: Vocabulary
    _lower: Set[str]
    """Words that the conversation has in lower case."""
    _names: set[str]

    def learn(self, turn: Turn) -> None:
        """Remember the names that a turn shows."""
        for place, word in enumerate(turn.words):
            if self._shows_name(turn, place, word):
                self._names.add(word.bare)
        self._names.update(self._answered_names(turn))

    def _shows_name(self, turn: Turn, place: int, word: Word) -> bool:
        """Whether a word is somebody's name by how it is written and what stands around it."""
        bare = word.bare
        before = turn.words[place - 1].lower if place else ""
        if before in _RELATIONS and word.gap in (" ", ". "):
            return bare not in self._vocabulary.common and bare not in self._vocabulary.never
        if not is_capitalised(word.text) or turn.is_taken(word) or self._is_no_name(bare):
            return False
        if bare in NAMES_OF_MONTHS and (before in _DATES_BEFORE or before.isdecimal()):
            return False
        if turn.begins_sentence(place):
            return self._begins_with_name(turn, place, bare)
        if self._is_of_firm_or_place(turn, place):
            return False
        return bare not in self._vocabulary.basic or before in _INTRODUCES

    def _is_no_name(self, bare: str) -> bool:
        return len(bare) < 2 or bare in self._vocabulary.never or bare in NUMBER_WORDS

    def _begins_with_name(self, turn: Turn, place: int, bare: str) -> bool:
        """At the beginning of a sentence any word has a capital: only an uncommon one counts."""
        if bare in self._vocabulary.common or bare in self._lower:
            return False
        if bare.endswith("s") and bare[:-1] in self._vocabulary.common:
            return False
        following = turn.words[place + 1] if place + 1 < len(turn.words) else None
        if following is None or following.gap.strip()[:1] in (",", "?", "!", ".", "\u2026"):
            return True
        if self._is_of_firm_or_place(turn, place):
            return False
        return not bare.endswith(_ENDINGS_OF_WORDS)

    def _is_of_firm_or_place(self, turn: Turn, place: int) -> bool:
        words = turn.words
        before = words[place - 1].lower if place else ""
        if before in _ARTICLES or before in _PLACE_BEFORE:
            return True
        if words[place].bare in FIRM_WORDS and is_capitalised(words[place - 1].text):
            return True
        if before in _PLACE_PREFIXES and is_capitalised(words[place - 1].text):
            return True
        if before in ("to", "from", "for") and place > 1 and words[place - 2].lower in _MOVES:
            return True
        for other in range(place + 1, min(place + 3, len(words))):
            if words[other].gap != " " or not is_capitalised(words[other].text):
                break
            if words[other].bare in FIRM_WORDS:
                return True
        return False

    def _answered_names(self, turn: Turn) -> set[str]:
        """Return the words of a turn that answers the question for a name."""
        if not turn.expected & {"name", "spell"}:
            return set()
        found: set[str] = set()
        is_short = len(turn.words) <= _SHORT_ANSWER
        for place, word in enumerate(turn.words):
            bare = word.bare
            is_written_so = is_capitalised(word.text)
            is_ordinary = bare in (
                self._vocabulary.basic if is_written_so and is_short else self._vocabulary.common
            )
            is_behind = place > 0 and turn.words[place - 1].lower in _NAMED_BY
            if self._is_no_name(bare) or bare in FIRM_WORDS or turn.is_taken(word):
                is_ordinary, is_behind = True, False
            if is_ordinary and not is_behind:
                if found:
                    break
                continue
            if not is_written_so and len(turn.words) > 3 and not is_behind:
                break
            if place > 5 or (found and word.gap not in (" ", "-")):
                break
            found.add(bare)
        return found

    def spans(self, turn: Turn) -> Iterator[Span]:
        """Yield the names of a turn, each with its surname and relation."""
        start = end = -1
        for place, word in enumerate(turn.words):
            bare = word.bare
            is_name = bare in self._names and (
                is_capitalised(word.text)
                or (bare not in self._vocabulary.common and bare not in self._vocabulary.never)
            )
            is_next = start >= 0 and turn.text[end : word.start] in (" ", "-")
            if not is_name and is_next and self._goes_on(turn, place):
                is_name = True
            if not is_name or turn.is_taken(word):
                continue
            if start >= 0 and _PARTICLES.fullmatch(turn.text[end : word.start]):
                end = word.start + len(bare)
                continue
            if start >= 0:
                yield Span(Kind.NAME, start, end)
            before, before_start = turn.before(place)
            start, end = word.start, word.start + len(bare)
            if before in _FAMILY and word.gap in (" ", ". "):
                start = before_start
        if start >= 0:
            yield Span(Kind.NAME, start, end)

    def _goes_on(self, turn: Turn, place: int) -> bool:
        """Whether a word behind a name is part of it, as a surname that is an ordinary word is."""
        word = turn.words[place]
        bare = word.bare
        return (
            is_capitalised(word.text)
            and len(bare) > 1
            and bare not in self._vocabulary.never
            and bare not in FIRM_WORDS
            and not self._is_contraction(word)
        )

    @staticmethod
    def _is_contraction(word: Word) -> bool:
        return word.bare != word.lower.replace("\u2019", "'") and not word.lower.endswith("s")
