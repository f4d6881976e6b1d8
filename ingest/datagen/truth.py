"""The truth of dev data: `expected.json`, and the phrases that a conversation really holds."""

from __future__ import annotations

import csv
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ingest.datagen.scenarios import BusinessLine, CallOutcome
from ingest.domain.conversation import Text
from ingest.domain.declarations import WORD_SEEDS
from ingest.domain.matchers import MatcherDefinition, Role, parse_definitions
from ingest.domain.phrase_matching import (
    CompiledMatcher,
    compile_matchers,
    prepare,
    role_matches,
    role_of_speaker,
)

SnakeCase = Annotated[str, Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$")]
Position = Annotated[int, Field(ge=0)]


class SentimentArc(StrEnum):
    """The way of the customer's mood from the first turns to the last."""

    NEGATIVE_TO_POSITIVE = "negative_to_positive"
    POSITIVE_TO_NEGATIVE = "positive_to_negative"
    STEADY_NEGATIVE = "steady_negative"
    STEADY_NEUTRAL = "steady_neutral"
    STEADY_POSITIVE = "steady_positive"
    MIXED = "mixed"


class PipelineOutcome(StrEnum):
    """What the pipeline must make of the files as they lie in the folder."""

    ANALYSED = "analysed"
    REJECTED = "rejected"
    WAITING_FOR_METADATA = "waiting_for_metadata"
    WAITING_FOR_TRANSCRIPT = "waiting_for_transcript"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class ExpectedPhraseMatch(_Frozen):
    """A phrase in a turn."""

    matcher: Text = Field(description="Display name of the phrase matcher.")
    group: Text = Field(description="Rule group of the matcher.")
    turn_index: Position
    phrase: Text = Field(description="The rule's query.")
    start_char: Position = Field(description="First code point of the turn's text.")
    end_char: Position = Field(description="One after the last code point.")
    is_noisy: bool = Field(
        description="True when a person would count it though the words differ from the query: "
        "the matcher isn't expected to find it."
    )


class ExpectedPiiSpan(_Frozen):
    """Personal data in a turn."""

    type: Annotated[str, Field(pattern=r"^[A-Z]+(_[A-Z]+)*$")]
    turn_index: Position
    start_char: Position
    end_char: Position


class ExpectedCoaching(_Frozen):
    """What the agent did or left out, with the verdict that a person gives."""

    behaviour: SnakeCase
    check_id: SnakeCase = Field(description="Check of seeds/coaching_rubric.csv.")
    verdict: Annotated[str, Field(pattern="^(pass|fail)$")]
    turn_index: Position | None = Field(description="Turn to hear; null where it is in no one.")
    is_noisy: bool = Field(description="True when it is known by words that no matcher knows.")


class ExpectedFault(_Frozen):
    """What `ingest data validate` must report about the conversation."""

    rule: SnakeCase
    file: Text = Field(description="File name in the conversation's folder.")
    pointer: str = Field(description="JSON pointer; empty for the whole file.")


class SecondDelivery(_Frozen):
    """What a later delivery of the same conversation leads to."""

    outcome: PipelineOutcome
    delivery: Text = Field(description="Folder of the delivery, beside the date folders.")
    version_count: int = Field(ge=1, description="Versions of the conversation afterwards.")
    changed: str | None = Field(default=None, description="File that differs.")


class ExpectedPipeline(_Frozen):
    """What the pipeline must do."""

    outcome: PipelineOutcome
    faults: tuple[ExpectedFault, ...] = ()
    then: SecondDelivery | None = None


class ExpectedTruth(_Frozen):
    """`expected.json`."""

    schema_version: Text
    conversation_id: Text = Field(description="The folder's name.")
    scenario: SnakeCase
    flags: tuple[SnakeCase, ...]
    phrase_matches: tuple[ExpectedPhraseMatch, ...] | None = Field(
        default=None, description="Absent where nobody looked for them, as in converted data."
    )
    missing_disclosures: tuple[SnakeCase, ...] | None = Field(
        default=None,
        description="Disclosures that apply and were never said in words the matcher knows.",
    )
    pii_spans: tuple[ExpectedPiiSpan, ...] | None = None
    coaching: tuple[ExpectedCoaching, ...] | None = Field(
        default=None, description="Absent where nobody planted any behaviour of the agent."
    )
    sentiment_arc: SentimentArc | None = None
    next_actions: tuple[SnakeCase, ...]
    pipeline: ExpectedPipeline | None = None


DISCLOSURE_MATCHER = "required_disclosures"

_WORDS_ONLY = bytes(code if chr(code).isalnum() else 32 for code in range(128)) + bytes(128)
_TYPOGRAPHY = re.compile("[\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u00a0]")
_DULL = frozenset(b"a i you your the to of is be do not it we my me by as for at on in".split())


@dataclass(frozen=True, slots=True)
class FoundPhrase:
    """One occurrence of one phrase of one matcher in one turn."""

    matcher: str
    group: str
    turn_index: int
    phrase: str
    start_char: int
    end_char: int


@dataclass(frozen=True, slots=True)
class RequiredDisclosure:
    """A disclosure that a kind of conversation needs."""

    disclosure: str
    business_line: str
    direction: str
    medium: str
    exempt_call_outcomes: frozenset[str]


class PhraseTruth:
    """Finds phrases in turns; exactly what the matching engine finds."""

    def __init__(self, definitions: Iterable[MatcherDefinition]) -> None:
        self._matchers = compile_matchers(
            definition for definition in definitions if definition.active
        )
        self._cues: dict[Role, dict[bytes, list[tuple[bytes, int]]]] = {}
        for role in (Role.HUMAN_AGENT, Role.AUTOMATED_AGENT, Role.END_USER):
            cues: dict[bytes, list[tuple[bytes, int]]] = defaultdict(list)
            for number, matcher in enumerate(self._matchers):
                if role_matches(matcher.definition.role_match, role):
                    for word, words in _telling_words(matcher.definition):
                        cues[word].append((words, number))
            self._cues[role] = dict(cues)
        self._always = frozenset(
            number
            for number, matcher in enumerate(self._matchers)
            if any(
                not rule.query.isascii() or rule.negated
                for group in matcher.definition.groups
                for rule in group.rules
            )
        )

    def find(self, texts: Sequence[tuple[str, str]]) -> list[FoundPhrase]:
        """Return every phrase in the (speaker, text) turns, by turn, matcher and place."""
        found: list[FoundPhrase] = []
        for index, (speaker, text) in enumerate(texts):
            role = role_of_speaker(speaker)
            matchers = self._candidates(text, role)
            if not matchers:
                continue
            segment = prepare(text)
            for matcher in matchers:
                name = matcher.definition.display_name
                for hit in matcher.find(segment, role) or ():
                    found.append(
                        FoundPhrase(
                            name, hit.group_name, index, hit.query, hit.start_char, hit.end_char
                        )
                    )
        return found

    def _candidates(self, text: str, role: Role) -> list[CompiledMatcher]:
        """Return the matchers that may hit; none that could is left out."""
        if not text.isascii():
            text = _TYPOGRAPHY.sub(" ", text)
            if not text.isascii():
                return [m for m in self._matchers if role_matches(m.definition.role_match, role)]
        words = text.lower().encode("ascii").translate(_WORDS_ONLY).split()
        cues = self._cues[role]
        telling = cues.keys() & words
        if not telling and not self._always:
            return []
        plain = b" ".join(words)
        wanted = {number for word in telling for phrase, number in cues[word] if phrase in plain}
        return [
            matcher
            for number, matcher in enumerate(self._matchers)
            if (number in wanted or number in self._always)
            and role_matches(matcher.definition.role_match, role)
        ]


def _telling_words(definition: MatcherDefinition) -> Iterator[tuple[bytes, bytes]]:
    """Yield one word of each ASCII phrase that a text with it must hold, and all its words."""
    for group in definition.groups:
        for rule in group.rules:
            if not rule.query.isascii():
                continue
            words = rule.query.lower().encode("ascii").translate(_WORDS_ONLY).split()
            yield max(words, key=lambda word: (word not in _DULL, len(word))), b" ".join(words)


def load_phrase_truth(seeds_dir: Path) -> PhraseTruth:
    """Return the finder for the matchers of `seeds/`."""
    return PhraseTruth(
        parse_definitions(
            (seeds_dir / "phrase_matchers.csv").read_text(encoding="utf-8"),
            (seeds_dir / "phrase_matcher_rules.csv").read_text(encoding="utf-8"),
        )
    )


def load_required_disclosures(seeds_dir: Path) -> tuple[RequiredDisclosure, ...]:
    """Return the rows of `seeds/required_disclosures.csv`."""
    text = (seeds_dir / "required_disclosures.csv").read_text(encoding="utf-8")
    return tuple(
        RequiredDisclosure(
            row["disclosure"],
            row["business_line"],
            row["direction"],
            row["medium"],
            frozenset(filter(None, row["exempt_call_outcomes"].split("|"))),
        )
        for row in csv.DictReader(text.splitlines())
    )


def missing_disclosures(
    required: Iterable[RequiredDisclosure],
    found: Iterable[FoundPhrase],
    metadata: Mapping[str, Any],
) -> list[str]:
    """Return the disclosures that this conversation needs and no agent or bot said.

    Said means: in words that the matcher knows. A paraphrase counts as missing.
    """
    said = {hit.group for hit in found if hit.matcher == DISCLOSURE_MATCHER}
    return [
        rule.disclosure
        for rule in required
        if (rule.business_line, rule.direction, rule.medium)
        == (metadata["business_line"], metadata["direction"], metadata["medium"])
        and metadata["call_outcome"] not in rule.exempt_call_outcomes
        and rule.disclosure not in said
    ]


_SCRIPT_WORDS: Mapping[str, Sequence[str]] = {
    "business_line": tuple(BusinessLine),
    "call_outcome": tuple(CallOutcome),
}


@dataclass(frozen=True, slots=True)
class Words:
    """Words of the business by field of metadata, in the order of their seeds."""

    seeded: Mapping[str, Sequence[str]]

    def of(self, name: str, own: str) -> str:
        """Return the script's own word, or one of the seed's that always stands for it."""
        words = self.seeded.get(name)
        if not words or own in words:
            return own
        known = _SCRIPT_WORDS.get(name, ())
        place = known.index(own) if own in known else zlib.crc32(own.encode())
        return words[place % len(words)]


def load_words(seeds_dir: Path) -> Words:
    """Return the words that the seeds list; a seed that isn't there lists none."""
    seeded = {}
    for name, seed in WORD_SEEDS.items():
        path = seeds_dir / f"{seed}.csv"
        if path.is_file():
            with path.open(encoding="utf-8-sig", newline="") as file:
                seeded[name] = [row[name] for row in csv.DictReader(file)]
    return Words(seeded)
