"""The annotator profile of a run, from the phrase matchers that CI holds now."""

from __future__ import annotations

from ingest.domain.annotators import AnnotatorProfile
from ingest.domain.matchers import is_ours
from ingest.flows.attempts import Attempts
from ingest.flows.progress import Progress
from ingest.ports import InsightsApi


async def annotator_profile(
    insights: InsightsApi, attempts: Attempts, progress: Progress, *, summarization: bool = False
) -> AnnotatorProfile:
    """Return the profile; say so when CI holds no phrase matchers of this project."""
    held = (await attempts.run(insights.list_matchers)).value
    ours = tuple(matcher.applied for matcher in held if is_ours(matcher.version_tag))
    if not ours:
        progress.note(
            "CI holds no phrase matchers of this project: run `ingest matchers apply` first "
            "if you want phrase matches"
        )
    return AnnotatorProfile(summarization, ours)
