"""What matchers find in a talk, and what a change of them would change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.domain.conversation import Transcription
from ingest.domain.phrase_matching import CompiledMatcher, PhraseHit, prepare, role_of_speaker


@dataclass(frozen=True)
class TurnMatch:
    """One matcher that hits one turn, and the phrases that it found there."""

    conversation_id: str
    matcher: str
    turn_index: int
    hits: tuple[PhraseHit, ...]


@dataclass(frozen=True)
class Difference:
    """One match that a change of the matchers would add to a conversation, or take away."""

    is_gained: bool
    match: TurnMatch
    text: str


def find_matches(
    transcription: Transcription, matchers: Sequence[CompiledMatcher]
) -> list[TurnMatch]:
    """Return every match of active matchers, by turn and then in the order of the matchers."""
    found = []
    for turn in transcription.turns:
        segment, role = prepare(turn.text), role_of_speaker(turn.speaker)
        for matcher in matchers:
            hits = matcher.find(segment, role) if matcher.definition.active else None
            if hits is not None:
                found.append(
                    TurnMatch(
                        transcription.conversation_id,
                        matcher.definition.display_name,
                        turn.turn_index,
                        hits,
                    )
                )
    return found


def differences(
    transcription: Transcription,
    before: Sequence[CompiledMatcher],
    after: Sequence[CompiledMatcher],
) -> list[Difference]:
    """Return what the change from one set of matchers to the other means for a talk."""
    old = _by_place(find_matches(transcription, before))
    new = _by_place(find_matches(transcription, after))
    texts = {turn.turn_index: turn.text for turn in transcription.turns}
    lost = [Difference(False, old[key], texts[key[1]]) for key in old if key not in new]
    gained = [Difference(True, new[key], texts[key[1]]) for key in new if key not in old]
    return lost + gained


def _by_place(matches: Iterable[TurnMatch]) -> dict[tuple[str, int], TurnMatch]:
    return {(match.matcher, match.turn_index): match for match in matches}
