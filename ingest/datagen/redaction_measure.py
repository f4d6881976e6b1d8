"""How well the redactor finds what is known to be personal in a data set, by type of detail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ingest.datagen.truth import ExpectedPiiSpan
from ingest.domain.redaction.redactor import VERSION, Redactor
from ingest.domain.redaction.turn import Kind, Span, Vocabulary


@dataclass(frozen=True)
class FoundOfType:
    """Details of one type: how many there are, were taken out whole, and in part at least."""

    type: str
    planted: int
    whole: int
    touched: int


@dataclass(frozen=True)
class RedactionMeasure:
    """What the redactor took out of a data set; shares are 0 to 1."""

    redactor_version: str
    conversations: int
    characters: int
    types: tuple[FoundOfType, ...]
    taken: int
    """Stretches that were taken out."""
    false: int
    """Stretches that touch no planted detail."""

    @property
    def precision(self) -> float:
        """The share of what was taken out that touches a planted detail."""
        return 1 - self.false / self.taken if self.taken else 1.0


@dataclass
class RedactionTally:
    """Adds conversations up."""

    vocabulary: Vocabulary
    conversations: int = 0
    characters: int = 0
    planted: Counter[str] = field(default_factory=Counter)
    whole: Counter[str] = field(default_factory=Counter)
    touched: Counter[str] = field(default_factory=Counter)
    taken: int = 0
    false: int = 0

    def add(
        self, texts: Sequence[str], agent_name: str | None, truth: Iterable[ExpectedPiiSpan]
    ) -> None:
        """Redact a conversation, and compare with what was planted in it."""
        redactor = Redactor(texts, [(Kind.NAME, agent_name)] if agent_name else (), self.vocabulary)
        found = {place: redactor.turn_spans(place) for place in range(len(texts))}
        self.conversations += 1
        self.characters += sum(map(len, texts))
        expected = list(truth)
        for detail in expected:
            self._count(detail, texts, found)
        for place, spans in found.items():
            self.taken += len(spans)
            self.false += sum(
                not any(_meet(place, span, detail) for detail in expected) for span in spans
            )

    def _count(
        self,
        detail: ExpectedPiiSpan,
        texts: Sequence[str],
        found: Mapping[int, Sequence[Span]],
    ) -> None:
        """A detail is whole when each of its letters and digits is taken out."""
        text = texts[detail.turn_index]
        spans = found[detail.turn_index]
        places = [
            place for place in range(detail.start_char, detail.end_char) if text[place].isalnum()
        ]
        covered = [any(span.start <= place < span.end for span in spans) for place in places]
        self.planted[detail.type] += 1
        self.whole[detail.type] += all(covered)
        self.touched[detail.type] += any(covered)

    def measure(self) -> RedactionMeasure:
        """Return the sums, types by name."""
        types = tuple(
            FoundOfType(name, self.planted[name], self.whole[name], self.touched[name])
            for name in sorted(self.planted)
        )
        return RedactionMeasure(
            VERSION, self.conversations, self.characters, types, self.taken, self.false
        )


def _meet(place: int, span: Span, detail: ExpectedPiiSpan) -> bool:
    return (
        detail.turn_index == place and detail.start_char < span.end and span.start < detail.end_char
    )
