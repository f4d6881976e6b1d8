"""One analysis: which annotators run, and their results as one AnalysisResult."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ingest.domain.phrase_matching import CompiledMatcher
from ingest.emulator import protos, wire
from ingest.emulator.analysis.annotators import (
    PhraseFinder,
    Sentiment,
    conversation_sentiment,
    find_highlights,
    turn_sentiment,
)
from ingest.emulator.analysis.entities import shown_entities
from ingest.emulator.analysis.turns import Turn, annotation_at, whole
from ingest.emulator.conversation_input import CUSTOMER_CHANNEL

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


class ActiveMatchers:
    """The phrase matchers of an analysis, made ready for many conversations."""

    def __init__(self, matchers: Sequence[ActiveMatcher] = ()) -> None:
        self.matchers = matchers
        self.finder = PhraseFinder([matcher.compiled for matcher in matchers])


class Findings(NamedTuple):
    """What one analysis found."""

    result: bytes
    """A serialized AnalysisResult."""
    intents: Counter[str]
    """Annotations by display name of the smart highlight."""
    phrase_matchers: Counter[str]
    """Annotations by id of the phrase matcher."""


def effective_selector(analysis: protos.Pb) -> protos.Pb:
    """Return the selector that the server writes back: the given one, or all but the summary."""
    given = analysis.HasField("annotator_selector")
    selector = protos.AnnotatorSelector()
    selector.CopyFrom(analysis.annotator_selector if given else _default_selector())
    return selector


@lru_cache(maxsize=1)
def _default_selector() -> protos.Pb:
    selector = protos.AnnotatorSelector(**dict.fromkeys(_DEFAULT_ANNOTATORS, True))
    selector.qa_config.scorecard_list.SetInParent()
    return selector


def annotate(
    conversation_name: str,
    turns: Sequence[Turn],
    selector: protos.Pb,
    matchers: ActiveMatchers,
) -> Findings:
    """Return what the annotators of the selector find.

    Text has no silence, interruption or hold (observed). Topic models and scorecards are asked by
    the caller, which has the store.
    """
    metadata = protos.CallMetadata()
    blocks: list[list[bytes]] = []
    intents: Counter[str] = Counter()
    phrase_matchers: Counter[str] = Counter()
    sentiments = _customer_sentiments(turns) if selector.run_sentiment_annotator else {}
    if selector.run_sentiment_annotator:
        blocks.append(_add_sentiments(metadata, turns, sentiments))
    if selector.run_intent_annotator:
        blocks.append(_add_highlights(metadata, turns, intents))
    if selector.run_entity_annotator:
        blocks.append(_add_entities(metadata, turns, sentiments))
    if selector.run_phrase_matcher_annotator:
        blocks.append(_add_phrases(metadata, turns, matchers, phrase_matchers))
    annotations = _shuffled(conversation_name, blocks)
    whole_metadata = wire.repeated(protos.CallMetadata, "annotations", annotations) + bytes(
        metadata.SerializeToString()
    )
    result = wire.field(protos.AnalysisResult, "call_analysis_metadata", whole_metadata)
    return Findings(result, intents, phrase_matchers)


def _customer_sentiments(turns: Sequence[Turn]) -> dict[int, Sentiment]:
    return {turn.index: turn_sentiment(turn) for turn in turns if turn.is_customer}


def _add_sentiments(
    metadata: protos.Pb, turns: Sequence[Turn], sentiments: dict[int, Sentiment]
) -> list[bytes]:
    """One annotation per customer segment, neutral ones with an empty message (observed)."""
    if sentiments:
        overall = metadata.sentiments.add(channel_tag=CUSTOMER_CHANNEL)
        _set(overall.sentiment_data, conversation_sentiment(list(sentiments.values())))
    return [
        annotation_at(whole(turn), _sentiment_field(sentiments[turn.index]))
        for turn in turns
        if turn.index in sentiments
    ]


@lru_cache(maxsize=64)
def _sentiment_field(sentiment: Sentiment) -> bytes:
    data = protos.SentimentData(score=sentiment.score, magnitude=sentiment.magnitude)
    return wire.field(protos.CallAnnotation, "sentiment_data", data.SerializeToString())


def _add_highlights(
    metadata: protos.Pb, turns: Sequence[Turn], intents: Counter[str]
) -> list[bytes]:
    annotations = []
    for highlight, span in find_highlights(turns):
        intents[highlight.display_name] += 1
        intent = metadata.intents[highlight.id]
        intent.id, intent.display_name = highlight.id, highlight.display_name
        data = protos.IntentMatchData(intent_unique_id=highlight.id).SerializeToString()
        field = wire.field(protos.CallAnnotation, "intent_match_data", data)
        annotations.append(annotation_at(span, field))
    return annotations


def _add_entities(
    metadata: protos.Pb, turns: Sequence[Turn], sentiments: dict[int, Sentiment]
) -> list[bytes]:
    """Entity sentiment adds up the magnitudes of the customer turns that mention it (assumed)."""
    annotations = []
    for number, (entity, share) in enumerate(shown_entities(turns)):
        unique_id = str(number)
        message = metadata.entities[unique_id]
        message.display_name, message.type_, message.salience = (
            entity.display_name,
            entity.type,
            share,
        )
        felt = []
        for span, kind in entity.mentions:
            sentiment = sentiments.get(span.turn.index)
            if sentiment is not None:
                felt.append(sentiment)
            annotations.append(annotation_at(span, _mention_field(unique_id, kind, sentiment)))
        message.sentiment.SetInParent()
        if felt:
            mean = sum(each.score for each in felt) / len(felt)
            total = sum(each.magnitude for each in felt)
            _set(message.sentiment, Sentiment(round(mean, 2), total))
    return annotations


@lru_cache(maxsize=4096)
def _mention_field(unique_id: str, kind: int, sentiment: Sentiment | None) -> bytes:
    data = protos.EntityMentionData(entity_unique_id=unique_id, type_=kind)
    if sentiment is not None:
        _set(data.sentiment, sentiment)
    return wire.field(protos.CallAnnotation, "entity_mention_data", data.SerializeToString())


def _add_phrases(
    metadata: protos.Pb,
    turns: Sequence[Turn],
    matchers: ActiveMatchers,
    phrase_matchers: Counter[str],
) -> list[bytes]:
    annotations = []
    for index, span in matchers.finder.find(turns):
        matcher = matchers.matchers[index]
        matcher_id = matcher.name.rpartition("/")[2]
        phrase_matchers[matcher_id] += 1
        data = protos.PhraseMatchData(
            phrase_matcher=f"{matcher.name}@{matcher.revision_id}",
            display_name=matcher.display_name,
        )
        field = wire.field(protos.CallAnnotation, "phrase_match_data", data.SerializeToString())
        annotations.append(annotation_at(span, field))
        metadata.phrase_matchers[matcher_id].CopyFrom(data)
    return annotations


def _set(message: protos.Pb, sentiment: Sentiment) -> None:
    message.SetInParent()
    message.score, message.magnitude = sentiment


def _shuffled(seed: str, blocks: list[list[bytes]]) -> list[bytes]:
    """Return the annotations in no order but the same one each time: kinds stay loosely together
    and transcript order is lost (observed)."""
    rng = random.Random(hashlib.sha256(seed.encode()).digest())
    rng.shuffle(blocks)
    for block in blocks:
        rng.shuffle(block)
    return [annotation for block in blocks for annotation in block]
