"""A rubric: which answer a question of a scorecard gets, by rules over the talk.

It stands in for Google's model, and says so: an answer follows from words, order, phrase matchers
and sentiment alone. A question that no rubric names is answered N/A.

questions:
  - question: Greeting                 # abbreviation, body or id of the question
    answers:                           # the first that holds
      - {key: "yes", when: {said: [hello, good morning], by: AGENT, within: 3}}
      - {key: "no"}
  - question: Complaint handled
    answers:
      - {key: "na", when: {none: [{matcher: Complaint}]}}
      - {key: "yes", when: {all: [{said: [sorry], by: AGENT}, {sentiment_at_least: 0}]}}
      - {key: "no"}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ingest.domain.matchers import (
    MatcherDefinition,
    MatchType,
    PhraseRule,
    Role,
    RuleGroup,
)
from ingest.domain.phrase_matching import CompiledMatcher, compile_matcher
from ingest.emulator import protos
from ingest.emulator.analysis.turns import Turn
from ingest.errors import InputError

_ROLES = {"AGENT": Role.ANY_AGENT, "CUSTOMER": Role.END_USER, None: Role.ROLE_UNSPECIFIED}


@dataclass(frozen=True, slots=True)
class Call:
    """What a rubric's rules look at."""

    turns: Sequence[Turn]
    matchers: frozenset[str]
    """Display names of the phrase matchers that the analysis found."""
    sentiment: float | None
    """The customer's over the whole conversation, from -1 to 1; None when it wasn't analysed."""


class Condition(BaseModel):
    """One rule; exactly one of its kinds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    said: tuple[str, ...] = Field(default=(), description="Phrases of which one was said.")
    by: Literal["AGENT", "CUSTOMER"] | None = Field(default=None, description="Who said it.")
    within: int | None = Field(default=None, ge=1, description="In the first turns, so many.")
    before: tuple[Condition, Condition] | None = Field(
        default=None, description="What was said first, and what after it."
    )
    matcher: str | None = Field(default=None, description="Display name of a phrase matcher.")
    sentiment_at_least: float | None = Field(default=None, ge=-1, le=1)
    sentiment_at_most: float | None = Field(default=None, ge=-1, le=1)
    all: tuple[Condition, ...] | None = None
    any: tuple[Condition, ...] | None = None
    none: tuple[Condition, ...] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Condition:
        kinds = (
            self.said or None, self.before, self.matcher, self.sentiment_at_least,
            self.sentiment_at_most, self.all, self.any, self.none,
        )  # fmt: skip
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("name exactly one rule: said, before, matcher, sentiment_…, all, …")
        if not self.said and (self.by or self.within):
            raise ValueError("by and within belong to said")
        if self.before is not None and not all(each.said for each in self.before):
            raise ValueError("before takes two rules with said")
        return self

    def holds(self, call: Call) -> bool:
        """Return whether the rule holds of a call."""
        if self.said:
            return self.first_turn(call) is not None
        if self.before is not None:
            first, then = (each.first_turn(call) for each in self.before)
            return first is not None and then is not None and first < then
        if self.matcher is not None:
            return self.matcher in call.matchers
        if self.all is not None:
            return all(each.holds(call) for each in self.all)
        if self.any is not None:
            return any(each.holds(call) for each in self.any)
        if self.none is not None:
            return not any(each.holds(call) for each in self.none)
        return self._feels(call.sentiment)

    def first_turn(self, call: Call) -> int | None:
        """Return the index of the first turn in which one of the phrases was said."""
        for turn in call.turns[: self.within]:
            if self._phrases.matches(turn.text, turn.role):
                return turn.index
        return None

    def _feels(self, sentiment: float | None) -> bool:
        if sentiment is None:
            return False
        if self.sentiment_at_least is not None:
            return sentiment >= self.sentiment_at_least
        return self.sentiment_at_most is not None and sentiment <= self.sentiment_at_most

    @cached_property
    def _phrases(self) -> CompiledMatcher:
        rules = tuple(PhraseRule(phrase) for phrase in self.said)
        group = RuleGroup("1", MatchType.ANY_OF, rules)
        return compile_matcher(
            MatcherDefinition("rubric", MatchType.ANY_OF, (group,), _ROLES[self.by])
        )


class Answer(BaseModel):
    """An answer's key and when it is given; always, without a rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    when: Condition | None = None


class Question(BaseModel):
    """The answers of one question, the first that holds is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    answers: tuple[Answer, ...] = Field(min_length=1)


class Rubric(BaseModel):
    """What is known of questions; without any, every answer is N/A."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    questions: tuple[Question, ...] = ()

    def key(self, question: protos.Pb, call: Call) -> str | None:
        """Return the key of the answer to a QaQuestion, or None for N/A."""
        names = (question.abbreviation, question.question_body, question.name.rpartition("/")[2])
        for known in self.questions:
            if known.question in names:
                for answer in known.answers:
                    if answer.when is None or answer.when.holds(call):
                        return answer.key
        return None


def read_rubric(path: Path) -> Rubric:
    """Return the rubric of a YAML file; raise InputError that says where it is wrong."""
    try:
        return Rubric.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"the rubric {path} can't be read", "give a YAML file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"the rubric is wrong at {where}: {first['msg']}") from error
