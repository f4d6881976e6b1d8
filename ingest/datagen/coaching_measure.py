"""How well the coaching marts judge a data set whose truth is known, check by check.

What is true follows here from `expected.json`, metadata and turns, in Python and not in dbt's SQL.
Of the customer's mood only what was planted is known: nobody knows the mood of other turns. What
the generator planted of the agent is counted apart.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.datagen.truth import (
    ExpectedCoaching,
    ExpectedPhraseMatch,
    ExpectedTruth,
    RequiredDisclosure,
)
from ingest.domain.conversation import Metadata, Speaker, Transcription
from ingest.domain.rubric import RuleKind

Row = Mapping[str, str]
_LAST_DAY = "9999-12-31"
_CUSTOMER = Speaker.CUSTOMER


@dataclass(frozen=True)
class TrueVerdict:
    """Whether the agent missed what a check asks; `None` where it doesn't apply.

    `by_words` knows the phrases of the matchers alone, `by_ear` also what a person would count.
    """

    by_words: bool | None
    by_ear: bool | None
    policy_version: int
    has_truth: bool = True
    planted: ExpectedCoaching | None = None
    """What the generator planted for this check."""


@dataclass(frozen=True)
class Given:
    """What the marts say of one check of one conversation; misses is None where not applicable."""

    is_miss: bool | None
    policy_version: int
    is_quote_there: bool
    """Whether the quote stands at its span; true where there is none."""


class CoachingTruth:
    """Judges by rows of the rubric, of the policies and of the required disclosures."""

    def __init__(
        self,
        rubric: Iterable[Row],
        policies: Iterable[Row],
        required: Iterable[RequiredDisclosure],
    ) -> None:
        self._rubric = tuple(rubric)
        self._policies = tuple(policies)
        self._required = tuple(required)

    def verdicts(
        self, metadata: Metadata, talk: Transcription, truth: ExpectedTruth
    ) -> dict[str, TrueVerdict]:
        """Return by check what is true of a conversation, for the checks that are due."""
        day = metadata.started_at.date()
        call = _Call(metadata, talk)
        phrases = truth.phrase_matches or ()
        exact = [phrase for phrase in phrases if not phrase.is_noisy]
        found = {}
        for row in self._rubric:
            version = self._version(row["policy"], day)
            if version is None or not _holds(row, day) or not self._applies(row, metadata):
                continue
            planted = _planted(row["check_id"], truth)
            if row["rule"] in _UNKNOWN:
                known = planted is not None and not planted.is_noisy
                is_miss = None if planted is None else planted.verdict == "fail"
                found[row["check_id"]] = TrueVerdict(is_miss, is_miss, version, known, planted)
                continue
            by_words, by_ear = (call.misses(row, those) for those in (exact, phrases))
            found[row["check_id"]] = TrueVerdict(by_words, by_ear, version, planted=planted)
        return found

    def _version(self, policy: str, day: dt.date) -> int | None:
        those = (row for row in self._policies if row["policy"] == policy and _holds(row, day))
        return next((int(row["version"]) for row in those), None)

    def _applies(self, row: Row, metadata: Metadata) -> bool:
        outcome = metadata.call_outcome
        if any(
            row[name] and row[name] != getattr(metadata, name)
            for name in ("business_line", "direction", "medium", "queue")
        ):
            return False
        if row["rule"] == RuleKind.SAID_FOR_OUTCOME:
            return outcome in row["subject"].split("|")
        if row["rule"] == RuleKind.DISCLOSURE_SAID:
            of = (metadata.business_line, metadata.direction, metadata.medium)
            return any(
                row["phrases"].endswith(f".{rule.disclosure}")
                and (rule.business_line, rule.direction, rule.medium) == of
                and outcome not in rule.exempt_call_outcomes
                for rule in self._required
            )
        return not (row["tenure_from_days"] or row["tenure_to_days"])


_UNKNOWN = (RuleKind.SENTIMENT_MET_TURNS, RuleKind.QA_SCORE_AT_LEAST)
"""Rules of which nothing is known but what was planted."""


def _planted(check: str, truth: ExpectedTruth) -> ExpectedCoaching | None:
    """Return what was planted for the check, in exact words if there is any."""
    those = [each for each in truth.coaching or () if each.check_id == check]
    return min(those, key=lambda each: each.is_noisy, default=None)


def _holds(row: Row, day: dt.date) -> bool:
    return row["valid_from"] <= day.isoformat() <= (row["valid_to"] or _LAST_DAY)


class _Call:
    """One conversation, asked rule by rule."""

    def __init__(self, metadata: Metadata, talk: Transcription) -> None:
        self._outcome = metadata.call_outcome
        self._turns = talk.turns

    def misses(self, row: Row, phrases: Sequence[ExpectedPhraseMatch]) -> bool | None:
        """Tell whether the agent missed what the row asks; None where it doesn't apply."""
        said = self._places(row["phrases"], phrases, by_customer=False)
        limit = float(row["limit_value"] or 0)
        match RuleKind(row["rule"]):
            case RuleKind.SAID | RuleKind.SAID_FOR_OUTCOME | RuleKind.DISCLOSURE_SAID:
                return not said
            case RuleKind.NOT_SAID:
                return bool(said)
            case RuleKind.SAID_BEFORE_TURN:
                return not any(place < limit for place in said)
            case RuleKind.OUTCOME_AFTER_CUE:
                cues = self._places(row["cue"], phrases, by_customer=True)
                asked = bool(cues) and self._outcome is not None
                return self._outcome not in row["subject"].split("|") if asked else None
            case RuleKind.SAID_AFTER_CUE_TURNS:
                return self._unmet(row, phrases, lambda cue, turn: turn - cue <= limit)
            case RuleKind.SAID_AFTER_CUE_SECONDS:
                return self._unmet(row, phrases, lambda cue, turn: self._wait(cue, turn) <= limit)
            case RuleKind.TALK_SHARE_AT_MOST:
                share = self._talk_share()
                return None if share is None else share > limit
            case _:
                count = self._interruptions()
                return None if count is None else count > limit

    def _places(
        self, wanted: str, phrases: Iterable[ExpectedPhraseMatch], *, by_customer: bool
    ) -> list[int]:
        return sorted(
            phrase.turn_index
            for phrase in phrases
            if wanted in (phrase.matcher, f"{phrase.matcher}.{phrase.group}")
            and (self._turns[phrase.turn_index].speaker == _CUSTOMER) == by_customer
        )

    def _unmet(
        self,
        row: Row,
        phrases: Sequence[ExpectedPhraseMatch],
        is_in_time: Callable[[int, int], bool],
    ) -> bool | None:
        """Tell whether the first cue of some group was left unanswered although an agent spoke."""
        first: dict[str, int] = {}
        for phrase in sorted(phrases, key=lambda phrase: phrase.turn_index):
            if self._places(row["cue"], [phrase], by_customer=True):
                first.setdefault(phrase.group, phrase.turn_index)
        said = set(self._places(row["phrases"], phrases, by_customer=False))
        answers = [
            bool(said & set(spoken))
            for cue in first.values()
            if (spoken := [turn for turn in self._agents_after(cue) if is_in_time(cue, turn)])
        ]
        return not all(answers) if answers else None

    def _agents_after(self, cue: int) -> list[int]:
        turns = enumerate(self._turns)
        return [place for place, turn in turns if place > cue and turn.speaker != _CUSTOMER]

    def _wait(self, cue: int, turn: int) -> float:
        start, end = (self._turns[place].start_offset_sec for place in (cue, turn))
        return float("inf") if start is None or end is None else end - start

    def _has_ends(self) -> bool:
        return all(
            turn.start_offset_sec is not None and turn.end_offset_sec is not None
            for turn in self._turns
        )

    def _talk_share(self) -> float | None:
        spoken: Counter[bool] = Counter()
        for turn in self._turns:
            amount: float = len(turn.text.split())
            if self._has_ends():
                amount = round((turn.end_offset_sec or 0) * 1000)
                amount -= round((turn.start_offset_sec or 0) * 1000)
            spoken[turn.speaker == Speaker.AGENT] += amount  # type: ignore[assignment]
        total = spoken.total()
        return spoken[True] / total if total else None

    def _interruptions(self) -> int | None:
        if not self._has_ends():
            return None
        count, until = 0, {True: float("-inf"), False: float("-inf")}
        timed = [
            (turn.start_offset_sec or 0.0, turn.end_offset_sec or 0.0, turn.speaker)
            for turn in self._turns
        ]
        for start, end, speaker in sorted(timed, key=lambda turn: turn[0]):
            is_customer = speaker == _CUSTOMER
            other = until[not is_customer]
            count += speaker == Speaker.AGENT and start < other < end
            until[is_customer] = max(until[is_customer], end)
        return count


@dataclass(frozen=True)
class CheckMeasure:
    """How one check was judged; shares are 0 to 1, None where nothing counts.

    Precision and recall are of misses by the matchers' own words; `ear_precision` and
    `ear_recall` count also what only a person would hear, in other words.
    """

    check_id: str
    judged: int
    missed: int
    precision: float | None
    recall: float | None
    ear_precision: float | None
    ear_recall: float | None
    planted_faults: int
    """Faults that the generator planted, known by the matchers' own words."""
    found_faults: int
    planted_strengths: int
    """Exemplary behaviour of the same kind."""
    found_strengths: int
    planted_noisy: int
    """Of both, what is known by other words."""
    found_noisy: int


@dataclass(frozen=True)
class CoachingMeasure:
    """How a data set was judged."""

    conversations: int
    checks: tuple[CheckMeasure, ...]
    quotes_astray: int
    """Verdicts whose quote doesn't stand at its span."""
    versions_astray: int
    """Verdicts by another policy version than that of the call's date."""
    not_due: int
    """Checks that the marts judged although they aren't due, or left out although they are."""


@dataclass
class CoachingTally:
    """Adds conversations up."""

    conversations: int = 0
    quotes_astray: int = 0
    versions_astray: int = 0
    not_due: int = 0
    _pairs: dict[str, list[tuple[TrueVerdict, bool | None]]] = field(default_factory=dict)

    def add(self, true: Mapping[str, TrueVerdict], given: Mapping[str, Given]) -> None:
        """Compare one conversation's verdicts with the truth."""
        self.conversations += 1
        self.not_due += len(true.keys() ^ given.keys())
        for check, verdict in given.items():
            self.quotes_astray += not verdict.is_quote_there
            if check in true:
                self.versions_astray += verdict.policy_version != true[check].policy_version
                self._pairs.setdefault(check, []).append((true[check], verdict.is_miss))

    def measure(self) -> CoachingMeasure:
        """Return what it came to, by check."""
        checks = tuple(_measured(check, pairs) for check, pairs in sorted(self._pairs.items()))
        return CoachingMeasure(
            self.conversations, checks, self.quotes_astray, self.versions_astray, self.not_due
        )


def _measured(check: str, pairs: Sequence[tuple[TrueVerdict, bool | None]]) -> CheckMeasure:
    known = [(true, given) for true, given in pairs if true.has_truth]
    planted = [(true.planted, given) for true, given in pairs if true.planted is not None]
    exact = [(each, given) for each, given in planted if not each.is_noisy]
    faults = [(each, given) for each, given in exact if each.verdict == "fail"]
    strengths = [(each, given) for each, given in exact if each.verdict == "pass"]
    noisy = [(each, given) for each, given in planted if each.is_noisy]
    counts = []
    for those in (faults, strengths, noisy):
        right = (given is (each.verdict == "fail") for each, given in those)
        counts += [len(those), sum(right)]
    return CheckMeasure(
        check,
        sum(given is not None for _, given in pairs),
        sum(given is True for _, given in pairs),
        *_precision_and_recall([(true.by_words, given) for true, given in known]),
        *_precision_and_recall([(true.by_ear, given) for true, given in known]),
        *counts,
    )


def _precision_and_recall(
    pairs: Sequence[tuple[bool | None, bool | None]],
) -> tuple[float | None, float | None]:
    hits = sum(true is True and given is True for true, given in pairs)
    given_count = sum(given is True for _, given in pairs)
    true_count = sum(true is True for true, _ in pairs)
    return (
        hits / given_count if given_count else None,
        hits / true_count if true_count else None,
    )


def given_of(row: Mapping[str, Any], texts: Sequence[str]) -> Given:
    """Return what a row of coaching_checks says; `texts` are those of the conversation's turns."""
    quote, turn = row["quote"], row["turn_index"]
    is_there = quote is None or texts[turn][row["start_char"] : row["end_char"]] == quote
    is_miss = {"fail": True, "pass": False}.get(row["verdict"])
    return Given(is_miss, row["policy_version"], is_there)
