"""When each turn starts. Whole tenths of a second, so every machine gets the same numbers."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ingest.datagen.talk import SpokenTurn, Talk
from ingest.domain.conversation import Speaker

_BOT_WORDS_PER_MINUTE = 160
_TYPED_WORDS_PER_MINUTE = {Speaker.AGENT: 52, Speaker.CUSTOMER: 30, Speaker.AUTOMATED_AGENT: 6000}


def start_tenths(talk: Talk) -> tuple[list[int], int]:
    """Return the start of each turn and the end of the conversation, in tenths of a second."""
    return _typed(talk.turns, talk.rng) if talk.is_chat else _spoken(talk)


def _spoken(talk: Talk) -> tuple[list[int], int]:
    dice = talk.rng.random
    starts: list[int] = []
    end = 3 + int(dice() * 20)
    previous: SpokenTurn | None = None
    for turn in talk.turns:
        if previous is not None and (previous.is_cut or turn.is_back_channel):
            gap = -2 - int(dice() * 6)
        elif previous is not None and previous.speaker is turn.speaker:
            gap = 4 + int(dice() * 16)
        else:
            gap = 1 + int(dice() * 11)
        start = max(end + gap, starts[-1] + 3 if starts else 0)
        starts.append(start)
        length = turn.word_count * 600 // _pace(talk, turn) + 3
        end = max(end, start + length)
        previous = turn
    return starts, end + 5 + int(dice() * 20)


def _pace(talk: Talk, turn: SpokenTurn) -> int:
    if turn.speaker is Speaker.CUSTOMER:
        return talk.persona.words_per_minute
    if turn.speaker is Speaker.AGENT:
        return talk.agents[turn.agent_number].words_per_minute
    return _BOT_WORDS_PER_MINUTE


def _typed(turns: Sequence[SpokenTurn], rng: random.Random) -> tuple[list[int], int]:
    starts: list[int] = []
    now = 0
    for turn in turns:
        think = 5 if turn.speaker is Speaker.AUTOMATED_AGENT else 30 + int(rng.random() * 250)
        now += think + turn.word_count * 600 // _TYPED_WORDS_PER_MINUTE[turn.speaker]
        starts.append(now)
    return starts, now + 50 + int(rng.random() * 200)
