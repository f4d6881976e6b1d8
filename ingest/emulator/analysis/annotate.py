"""One analysis: which annotators run, and their results as one AnalysisResult."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.domain.phrase_matching import CompiledMatcher
from ingest.emulator import protos
from ingest.emulator.analysis.entities import find_entities, salience
from ingest.emulator.analysis.highlights import find_highlights
from ingest.emulator.analysis.phrases import find_phrases
from ingest.emulator.analysis.sentiment import (
    Sentiment,
    conversation_sentiment,
    turn_sentiment,
)
from ingest.emulator.analysis.turns import Turn, annotation_at, whole
from ingest.emulator.transcripts import CUSTOMER_CHANNEL

_DEFAULT_ANNOTATORS = (
    "run_interruption_annotator", "run_silence_annotator", "run_phrase_matcher_annotator",
    "run_sentiment_annotator", "run_entity_annotator", "run_intent_annotator",
    "run_issue_model_annotator", "run_qa_annotator",
)  # fmt: skip
"""What runs without a selector: all but the summary (observed on two real analyses)."""


@dataclass(frozen=True, slots=True)
class ActiveMatcher:
    """A phrase matcher that takes part in an analysis."""

    name: str
    """Resource name without revision."""
    revision_id: str
    display_name: str
    compiled: CompiledMatcher


def effective_selector(analysis: protos.Pb) -> protos.Pb:
    """Return the selector that the server writes back: the given one, or all but the summary."""
    selector = protos.AnnotatorSelector()
    if analysis.HasField("annotator_selector"):
        selector.CopyFrom(analysis.annotator_selector)
        return selector
    for name in _DEFAULT_ANNOTATORS:
        setattr(selector, name, True)
    selector.qa_config.scorecard_list.SetInParent()
    return selector


def annotate(
    conversation_name: str,
    turns: Sequence[Turn],
    selector: protos.Pb,
    matchers: Sequence[ActiveMatcher],
) -> protos.Pb:
    """Return the AnalysisResult.

    Text has no silence, interruption or hold (observed), and no topic model or scorecard is
    emulated: those annotators run and find nothing.
    """
    result = protos.AnalysisResult()
    metadata = result.call_analysis_metadata
    metadata.SetInParent()
    blocks: list[list[protos.Pb]] = []
    sentiments = _customer_sentiments(turns) if selector.run_sentiment_annotator else {}
    if selector.run_sentiment_annotator:
        blocks.append(_add_sentiments(metadata, turns, sentiments))
    if selector.run_intent_annotator:
        blocks.append(_add_highlights(metadata, turns))
    if selector.run_entity_annotator:
        blocks.append(_add_entities(metadata, turns, sentiments))
    if selector.run_phrase_matcher_annotator:
        blocks.append(_add_phrases(metadata, turns, matchers))
    metadata.annotations.extend(_shuffled(conversation_name, blocks))
    return result


def _customer_sentiments(turns: Sequence[Turn]) -> dict[int, Sentiment]:
    return {turn.index: turn_sentiment(turn.text) for turn in turns if turn.is_customer}


def _add_sentiments(
    metadata: protos.Pb, turns: Sequence[Turn], sentiments: dict[int, Sentiment]
) -> list[protos.Pb]:
    """One annotation per customer segment, neutral ones with an empty message (observed)."""
    annotations = []
    for turn in turns:
        if turn.index in sentiments:
            annotation = annotation_at(whole(turn))
            _set(annotation.sentiment_data, sentiments[turn.index])
            annotations.append(annotation)
    if sentiments:
        overall = metadata.sentiments.add(channel_tag=CUSTOMER_CHANNEL)
        _set(overall.sentiment_data, conversation_sentiment(list(sentiments.values())))
    return annotations


def _add_highlights(metadata: protos.Pb, turns: Sequence[Turn]) -> list[protos.Pb]:
    annotations = []
    for highlight, span in find_highlights(turns):
        intent = metadata.intents[highlight.id]
        intent.id, intent.display_name = highlight.id, highlight.display_name
        annotation = annotation_at(span)
        annotation.intent_match_data.intent_unique_id = highlight.id
        annotations.append(annotation)
    return annotations


def _add_entities(
    metadata: protos.Pb, turns: Sequence[Turn], sentiments: dict[int, Sentiment]
) -> list[protos.Pb]:
    """Entity sentiment adds up the magnitudes of the customer turns that mention it (assumed)."""
    annotations = []
    found = find_entities(turns)
    for number, (entity, share) in enumerate(zip(found, salience(found), strict=True)):
        message = metadata.entities[str(number)]
        message.display_name, message.type_, message.salience = (
            entity.display_name,
            entity.type,
            share,
        )
        felt = [
            sentiments[mention.span.turn.index]
            for mention in entity.mentions
            if mention.span.turn.index in sentiments
        ]
        message.sentiment.SetInParent()
        if felt:
            mean = sum(each.score for each in felt) / len(felt)
            total = sum(each.magnitude for each in felt)
            _set(message.sentiment, Sentiment(round(mean, 2), total))
        for mention in entity.mentions:
            annotation = annotation_at(mention.span)
            data = annotation.entity_mention_data
            data.entity_unique_id, data.type_ = str(number), mention.type
            if mention.span.turn.index in sentiments:
                _set(data.sentiment, sentiments[mention.span.turn.index])
            annotations.append(annotation)
    return annotations


def _add_phrases(
    metadata: protos.Pb, turns: Sequence[Turn], matchers: Sequence[ActiveMatcher]
) -> list[protos.Pb]:
    annotations = []
    for index, span in find_phrases(turns, [matcher.compiled for matcher in matchers]):
        matcher = matchers[index]
        revision = f"{matcher.name}@{matcher.revision_id}"
        annotation = annotation_at(span)
        annotation.phrase_match_data.phrase_matcher = revision
        annotation.phrase_match_data.display_name = matcher.display_name
        annotations.append(annotation)
        entry = metadata.phrase_matchers[matcher.name.rpartition("/")[2]]
        entry.phrase_matcher, entry.display_name = revision, matcher.display_name
    return annotations


def _set(message: protos.Pb, sentiment: Sentiment) -> None:
    message.SetInParent()
    message.score, message.magnitude = sentiment


def _shuffled(seed: str, blocks: list[list[protos.Pb]]) -> list[protos.Pb]:
    """Return the annotations in no order but the same one each time: kinds stay loosely together
    and transcript order is lost (observed)."""
    rng = random.Random(hashlib.sha256(seed.encode()).digest())
    rng.shuffle(blocks)
    for block in blocks:
        rng.shuffle(block)
    return [annotation for block in blocks for annotation in block]
