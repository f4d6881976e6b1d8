"""The annotator profile: which annotators run, with which matcher revisions, and its hash.

An analysis is billed, so it runs once per conversation version and profile. The hash covers the
annotators and the matcher revisions in force, since a changed matcher needs a new analysis
(Insights keeps results inside the analysis).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ingest.domain.conversation import json_sha256

ANNOTATOR_FLAGS = (
    "run_interruption_annotator",
    "run_silence_annotator",
    "run_phrase_matcher_annotator",
    "run_sentiment_annotator",
    "run_entity_annotator",
    "run_intent_annotator",
    "run_issue_model_annotator",
    "run_summarization_annotator",
    "run_qa_annotator",
)


_SUMMARIES = "run_summarization_annotator"
_SCORES = "run_qa_annotator"
_TOPICS = "run_issue_model_annotator"
_NAMED = {_SCORES: "scorecard_revisions", _TOPICS: "issue_models"}
"""Which part of a selector names what an annotator reads."""


@dataclass(frozen=True)
class AppliedMatcher:
    """One of our phrase matchers as Insights holds it."""

    matcher_id: str
    display_name: str
    revision_id: str
    revised_at: dt.datetime
    is_active: bool


@dataclass(frozen=True)
class Selector:
    """The annotators of one analysis: the flags that are on, and the ids of the matchers named."""

    flags: frozenset[str]
    phrase_matchers: frozenset[str] = frozenset()
    scorecard_revisions: frozenset[str] = frozenset()
    """Scorecard and revision, with a slash between; none means all deployed ones."""
    issue_models: frozenset[str] = frozenset()

    def without(self, flag: str) -> Selector:
        """Return the selector without an annotator, and without what only that one reads."""
        left = replace(self, flags=self.flags - {flag})
        return replace(left, **{_NAMED[flag]: frozenset()})


def selector_of(analysis: Mapping[str, Any]) -> Selector:
    """Return the annotators of an analysis, given as REST JSON."""
    chosen = analysis.get("annotatorSelector", {})
    return Selector(
        frozenset(flag for flag in ANNOTATOR_FLAGS if chosen.get(_camel_case(flag))),
        frozenset(
            name.rpartition("/")[2].partition("@")[0] for name in chosen.get("phraseMatchers", ())
        ),
        frozenset(map(scorecard_revision_key, _listed_revisions(chosen))),
        frozenset(name.rpartition("/")[2] for name in chosen.get("issueModels", ())),
    )


def scorecard_revision_key(name: str) -> str:
    """Return the two ids in a revision's name, which may say a project's number or its id."""
    parts = name.split("/")
    return f"{parts[-3]}/{parts[-1]}" if len(parts) > 3 else name


def _listed_revisions(chosen: Mapping[str, Any]) -> Sequence[str]:
    listed: Sequence[str] = (
        chosen.get("qaConfig", {}).get("scorecardList", {}).get("qaScorecardRevisions", ())
    )
    return listed


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


@dataclass(frozen=True)
class AnnotatorProfile:
    """What the sidecar asks Insights for."""

    summarization: bool
    matchers: tuple[AppliedMatcher, ...]
    scorecard_revisions: frozenset[str] = frozenset()
    """Those of ours that are deployed, as in a selector; without any, no scores are asked for."""
    issue_models: frozenset[str] = frozenset()
    """Ids of those of ours that are deployed; without any, no topics are asked for."""

    @cached_property
    def selector(self) -> Selector:
        """The annotator selector of CreateAnalysis; only what is named in it runs."""
        flags = {"run_sentiment_annotator", "run_entity_annotator", "run_intent_annotator"}
        active = frozenset(matcher.matcher_id for matcher in self.matchers if matcher.is_active)
        if active:
            flags.add("run_phrase_matcher_annotator")
        if self.summarization:
            flags.add(_SUMMARIES)
        if self.scorecard_revisions:
            flags.add(_SCORES)
        if self.issue_models:
            flags.add(_TOPICS)
        return Selector(frozenset(flags), active, self.scorecard_revisions, self.issue_models)

    @cached_property
    def sha256(self) -> str:
        """Hash of annotators and matcher revisions in force."""
        return _profile_sha256(
            self.selector,
            {m.matcher_id: m.revision_id for m in self.matchers if m.is_active},
        )

    @cached_property
    def with_summaries(self) -> AnnotatorProfile:
        """The same profile, which asks for summaries too."""
        return self if self.summarization else replace(self, summarization=True)

    def keeping_summaries_of(self, selector: Selector) -> AnnotatorProfile:
        """Return the profile that loses no summary when it follows that analysis."""
        return self.with_summaries if _SUMMARIES in selector.flags else self

    def is_met_by(self, profile_sha256: str | None) -> bool:
        """Return whether an analysis that counts for that hash has all that this asks for.

        One with a summary has all that a profile without asks for.
        """
        return profile_sha256 in (self.sha256, self.with_summaries.sha256)

    @cached_property
    def in_force_since(self) -> dt.datetime:
        """The newest revision's time; an analysis asked for earlier used an older revision."""
        moments = [m.revised_at for m in self.matchers if m.is_active]
        return max(moments, default=dt.datetime(1970, 1, 1, tzinfo=dt.UTC))


def profile_sha256_of_analysis(
    selector: Selector, requested_at: dt.datetime, profile: AnnotatorProfile
) -> str:
    """Return the profile hash that a finished analysis counts for.

    Insights writes the effective selector back but not the revisions, so the time it was asked for
    tells whether the revisions now in force were used. Revisions of scorecards are written back.
    Scores and topics that a profile doesn't ask for are no reason for another analysis.
    """
    for flag in _NAMED:
        if flag not in profile.selector.flags:
            selector = selector.without(flag)
    if requested_at >= profile.in_force_since:
        plain = replace(profile, summarization=False) if profile.summarization else profile
        for known in (profile, plain, profile.with_summaries):
            if selector == known.selector:
                return known.sha256
    return _profile_sha256(selector, dict.fromkeys(selector.phrase_matchers, "before"))


def _profile_sha256(selector: Selector, revisions: dict[str, str]) -> str:
    content: dict[str, Any] = {"flags": sorted(selector.flags), "phrase_matchers": revisions}
    for name in _NAMED.values():
        if named := sorted(getattr(selector, name)):
            content[name] = named
    return json_sha256(content)
