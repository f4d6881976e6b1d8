"""`expected.json`: the truth beside a conversation of dev data. The pipeline never reads it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ingest.domain.conversation import Text

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
    phrase_matches: tuple[ExpectedPhraseMatch, ...]
    missing_disclosures: tuple[SnakeCase, ...] = Field(
        description="Disclosures that apply and were never said in words the matcher knows."
    )
    pii_spans: tuple[ExpectedPiiSpan, ...]
    sentiment_arc: SentimentArc
    next_actions: tuple[SnakeCase, ...]
    pipeline: ExpectedPipeline
