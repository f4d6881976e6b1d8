"""Topics by phrase lists: they stand in for Google's topic model, and say so.

An issue's phrases are those in double quotes in its description; without any, its display name. A
conversation has an issue when somebody in it says one of the phrases. Training looks for phrases
that some conversations share and most don't, and writes them into descriptions: so what a model
knows can be read, changed by UpdateIssue, exported and imported.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from ingest.domain.matchers import MatcherDefinition, MatchType, PhraseRule, RuleGroup
from ingest.domain.phrase_matching import compile_matcher
from ingest.emulator.analysis.annotators import PhraseFinder
from ingest.emulator.analysis.turns import Span, Turn

_QUOTED = re.compile(r'"([^"]+)"')
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_COMMON = frozenset(
    re.findall(
        r"\S+",
        """
        a about above absolutely actually after again ago ah ain't all already alright also
        although always am an and another any anyone anything appreciate april are aren't
        around as ask at august away back basically be because been before begin being between
        big bit both bucks but by bye call called calling came can can't catch cent cents
        cheers com come comes correct could couldn't course day days december did didn't do
        does doing dollar dollars don't done dot double down during each eight eighteen eighty
        eleven end er ever every everything exactly example february few fifteen fifth fifty
        fine first five for fortnight forty four fourteen fourth friday from get getting give
        go going gonna good got gotta great had half hang happened happens happy has hasn't
        have haven't having hear heard hello help her here hi him his hmm hold honestly hour
        hours how however hundred i i'd i'll i'm i've if in into is isn't it it's its january
        july june just kind knew know last later let let's like literally little ll long look
        looking lot love lovely made make many march mate may maybe me mean means might
        million minute minutes mm monday month months more morning most much my name need
        never new next nine nineteen ninety no nobody nope not nothing november now number
        o'clock obviously october of off often oh ok okay old on one only or other others our
        out over own past perfect please pretty probably put quarter quite rather re really
        right said same saturday say saying says second see september set seven seventeen
        seventy she should shouldn't since six sixteen sixty so some someone something
        sometimes soon sorry sort speaking start still straight such sunday sure ta take tell
        ten than thank thanks that that's the their them then there there's these they thing
        things think third thirteen thirty this those though thousand three through thursday
        time to today told tomorrow tonight too triple try trying tuesday twelve twenty two uh
        um under until up us ve very wait wanna want was wasn't way we we'll we're we've
        wednesday week weeks well went were weren't what what's when where which while who
        whole why will with won't wonderful would wouldn't www ya yeah year years yep yes
        yesterday yet you you'd you'll you're you've your zero
        """,
    )
)
"""English words that make no topic."""
_LONGEST = 4
_MOST_TOPICS = 20
_MOST_PHRASES = 5
_SMALLEST_SHARE = 0.02
_ALIKE = 0.5
"""How much of their conversations two phrases of one topic share."""


class Topic(NamedTuple):
    """An issue as conversations are searched for it; `issue` is its resource name."""

    issue: str
    display_name: str
    phrases: tuple[str, ...]


class NewTopic(NamedTuple):
    """What training found."""

    display_name: str
    description: str


class Found(NamedTuple):
    """The topics of a conversation."""

    scores: dict[int, float]
    """By the topic's index, the highest first; they add up to 1."""
    places: list[tuple[int, Span]]
    """Index of the topic and where its phrases are, for each segment that has one."""


def phrases_of(display_name: str, description: str) -> tuple[str, ...]:
    """Return the phrases of an issue: those quoted in its description, or its display name."""
    quoted = [found.strip() for found in _QUOTED.findall(description)]
    named = [phrase for phrase in quoted if phrase] or [display_name.strip()]
    return tuple(dict.fromkeys(filter(None, named)))


class TopicFinder:
    """Finds the same topics in many conversations."""

    def __init__(self, topics: Sequence[Topic]) -> None:
        self.topics = [topic for topic in topics if topic.phrases]
        self._phrases = PhraseFinder([compile_matcher(_definition(each)) for each in self.topics])

    def find(self, turns: Sequence[Turn]) -> Found:
        """Return the topics of a conversation; a score is the topic's share of the segments."""
        places = self._phrases.find(turns)
        counts: dict[int, int] = {}
        for index, _ in places:
            counts[index] = counts.get(index, 0) + 1
        ranked = sorted(counts, key=lambda index: (-counts[index], index))
        return Found({index: round(counts[index] / len(places), 4) for index in ranked}, places)


@lru_cache(maxsize=8)
def topic_finder(topics: tuple[Topic, ...]) -> TopicFinder:
    """Return the finder of these topics; kept for the next conversation."""
    return TopicFinder(topics)


def _definition(topic: Topic) -> MatcherDefinition:
    rules = tuple(PhraseRule(phrase) for phrase in topic.phrases)
    group = RuleGroup("1", MatchType.ANY_OF, rules)
    return MatcherDefinition(topic.display_name, MatchType.ANY_OF, (group,))


class Trainer:
    """Finds topics in conversations: add each of them, then ask."""

    def __init__(self) -> None:
        self._said: dict[str, list[int]] = {}
        self._count = 0

    def add(self, turns: Sequence[Turn]) -> None:
        """Take a conversation into account; what agents say is left out."""
        said = {phrase for turn in turns if turn.is_customer for phrase in _phrases(turn.text)}
        for phrase in said:
            self._said.setdefault(phrase, []).append(self._count)
        self._count += 1

    def topics(self) -> list[NewTopic]:
        """Return the topics, those of most conversations first.

        Again and again the phrase that tells most of the conversations left apart becomes a topic,
        together with phrases that are said in much the same conversations. Equal ones go by
        alphabet, so the same conversations always give the same topics.
        """
        fewest = max(2, math.ceil(self._count * _SMALLEST_SHARE))
        masks = {
            phrase: sum(1 << number for number in numbers)
            for phrase, numbers in sorted(self._said.items())
            if fewest <= len(numbers) <= self._count / 2
        }
        left = (1 << self._count) - 1
        found: list[NewTopic] = []
        while masks and len(found) < _MOST_TOPICS:
            first = max(masks, key=lambda phrase: self._gain(phrase, masks[phrase], left))
            if (masks[first] & left).bit_count() < fewest:
                break
            phrases = _alike(first, masks)
            for phrase in phrases:
                left &= ~masks[phrase]
            quoted = ", ".join(f'"{phrase}"' for phrase in phrases)
            found.append(NewTopic(first.capitalize(), f"Conversations that say {quoted}."))
            masks = {phrase: mask for phrase, mask in masks.items() if phrase not in phrases}
        return found

    def _gain(self, phrase: str, mask: int, left: int) -> float:
        """Return how well a phrase tells conversations apart; longer ones say more."""
        rarity = math.log(self._count / mask.bit_count())
        return (mask & left).bit_count() * rarity * (1 + phrase.count(" ") / 2)


def _alike(first: str, masks: dict[str, int]) -> list[str]:
    """Return a phrase and those said in much the same conversations, none inside another."""
    shares = {
        phrase: (mask & masks[first]).bit_count() / (mask | masks[first]).bit_count()
        for phrase, mask in masks.items()
    }
    chosen = [first]
    for phrase in sorted(shares, key=lambda each: (-shares[each], -each.count(" "), each)):
        if shares[phrase] < _ALIKE or len(chosen) == _MOST_PHRASES:
            break
        padded = f" {phrase} "
        if not any(f" {each} " in padded or padded in f" {each} " for each in chosen):
            chosen.append(phrase)
    return chosen


def _phrases(text: str) -> Iterator[str]:
    """Yield the phrases of a text: up to four words in a row, the first and last not common."""
    words: list[str] = []
    end = 0
    for found in _WORD.finditer(text.lower().replace("\u2019", "'")):
        if words and not text[end : found.start()].isspace():
            words = []
        end = found.end()
        words = [*words[1 - _LONGEST :], found[0]]
        if found[0] in _COMMON:
            continue
        for start, word in enumerate(words):
            if word not in _COMMON:
                yield " ".join(words[start:])
