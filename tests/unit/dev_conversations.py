"""The dev conversations and their labels, read and parsed for the tests that judge them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ingest.domain.conversation import (
    Direction,
    FileKind,
    Metadata,
    Transcription,
)
from ingest.domain.validation import parse_file

SEEDS = Path(__file__).parents[2] / "seeds"
FOLDERS = sorted(path for path in (SEEDS / "conversations").glob("*/*") if path.is_dir())

SnakeCase = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")]
Flag = Literal[
    "agent_misconduct",
    "already_paid",
    "bereavement",
    "bot_opening",
    "broken_off",
    "chat",
    "complaint",
    "contact_preference",
    "dispute",
    "escalation",
    "exemplary_agent",
    "extension",
    "family_violence",
    "hardship",
    "job_loss",
    "mental_health",
    "missing_disclosure",
    "multi_intent",
    "not_mine",
    "ombudsman",
    "payment_plan",
    "pii_heavy",
    "purchased_debt",
    "supervisor_transfer",
    "vulnerability",
    "wrong_party",
]
SentimentArc = Literal[
    "mixed",
    "negative_to_positive",
    "positive_to_negative",
    "steady_negative",
    "steady_neutral",
    "steady_positive",
]
PiiType = Literal[
    "ACCOUNT_NUMBER",
    "ADDRESS",
    "BANK_ACCOUNT",
    "CARD_CVV",
    "CARD_EXPIRY",
    "CARD_NUMBER",
    "DATE_OF_BIRTH",
    "EMAIL",
    "IDENTITY_DOCUMENT",
    "ORGANISATION",
    "PERSON_NAME",
    "PHONE",
    "REFERENCE_NUMBER",
]


class _Label(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Span(_Label):
    """A piece of a turn's text, in code points; the end is exclusive."""

    turn_index: int
    start_char: int
    end_char: int


class PiiSpan(_Span):
    type: PiiType


class PhraseMatch(_Span):
    matcher: str
    group: str
    phrase: str
    is_noisy: Literal[False]


class PipelineExpectation(_Label):
    outcome: Literal["analysed"]


class Expected(_Label):
    """`expected.json`: what a careful reader finds in the conversation."""

    schema_version: Literal["1.0"]
    conversation_id: str
    scenario: SnakeCase
    flags: tuple[Flag, ...]
    phrase_matches: tuple[PhraseMatch, ...]
    missing_disclosures: tuple[str, ...]
    pii_spans: tuple[PiiSpan, ...]
    sentiment_arc: SentimentArc
    next_actions: Annotated[tuple[SnakeCase, ...], Field(min_length=1)]
    pipeline: PipelineExpectation


@dataclass(frozen=True)
class DevConversation:
    """One folder of dev data."""

    folder: Path
    metadata: Metadata
    transcription: Transcription
    expected: Expected

    @property
    def texts(self) -> list[str]:
        return [turn.text for turn in self.transcription.turns]

    @property
    def flags(self) -> set[str]:
        return set(self.expected.flags)

    @property
    def lines(self) -> tuple[str, Direction, str]:
        return (self.metadata.business_line, self.metadata.direction, self.metadata.medium)

    def groups_hit(self, matcher: str) -> set[str]:
        return {hit.group for hit in self.expected.phrase_matches if hit.matcher == matcher}

    def shown(self, span: PiiSpan | PhraseMatch) -> str:
        """Return the text under a span; a span that leaves its turn fails the test."""
        text = self.texts[span.turn_index]
        assert 0 <= span.start_char < span.end_char <= len(text)
        return text[span.start_char : span.end_char]


def load(folder: Path) -> DevConversation:
    """Return the folder's conversation; any fault or warning of its files fails the test."""
    metadata, faults = parse_file(
        FileKind.METADATA, (folder / "metadata.json").read_bytes(), "metadata.json"
    )
    transcription, more_faults = parse_file(
        FileKind.TRANSCRIPTION, (folder / "transcription.json").read_bytes(), "transcription.json"
    )
    assert [*faults, *more_faults] == []
    assert isinstance(metadata, Metadata)
    assert isinstance(transcription, Transcription)
    expected = Expected.model_validate_json((folder / "expected.json").read_bytes())
    return DevConversation(folder, metadata, transcription, expected)


def everything() -> list[DevConversation]:
    """Return all dev conversations, by folder name."""
    return [load(folder) for folder in FOLDERS]
