"""One conversation being held: a scenario's moves said by its people, with mood and manner."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ingest.datagen.cast import Agent, CustomerPersona, Person
from ingest.datagen.grammar import Bank, Mark, NoisyLabel, Phrasing, pick
from ingest.datagen.profile import Profile
from ingest.datagen.scenarios import Effect, Group, Move, Say, Scenario, Script, Use
from ingest.domain.conversation import Direction, Medium, Speaker

_FILLERS = ("um", "uh", "er", "like", "you know", "ah", "sort of", "I mean", "what's it", "yeah")
_TYPOS = (
    ("you ", "u "),
    ("because", "cause"),
    ("please", "pls"),
    ("'m ", "m "),
    ("'t ", "t "),
    ("'s ", "s "),
    ("the ", "teh "),
    ("though", "tho"),
    ("really", "realy"),
    ("tomorrow", "tmrw"),
    ("and ", "n "),
    ("definitely", "definately"),
    ("received", "recieved"),
)


def hesitate(phrasing: Phrasing, share: float, rng: random.Random) -> None:
    """Put fillers and repeated words into the literal text, about `share` of the long pieces.

    Only a piece without a mark is touched, and only inside, so marks stay true.
    """
    pieces = phrasing.pieces
    marked = {at for first, last, _ in phrasing.marks for at in range(first, last)}
    for index, piece in enumerate(pieces):
        if len(piece) < 14 or rng.random() >= share or index in marked:
            continue
        at = piece.find(" ", 2 + int(rng.random() * (len(piece) - 8)))
        if at < 0 or at + 1 >= len(piece):
            continue
        before, after = piece[:at], piece[at + 1 :]
        if before[-1] in ".?!…—" or not after[0].isalpha():
            continue
        if rng.random() < 0.3:
            word, _, _ = after.partition(" ")
            if word.isalpha() and len(word) < 5:
                pieces[index] = f"{before} {word}— {after}"
                continue
        filler = _FILLERS[int(rng.random() * len(_FILLERS))]
        comma = "" if before[-1] in ",;:" else ","
        pieces[index] = f"{before}{comma} {filler}, {after}"


def cut_off(
    text: str, marks: list[tuple[int, int, Mark]]
) -> tuple[str, list[tuple[int, int, Mark]]]:
    """Return the text broken off in its last third, with the marks that are left whole."""
    at = text.rfind(" ", 0, max(8, len(text) - len(text) // 4))
    if at < 8:
        return text, marks
    kept = text[:at].rstrip(" ,.?!—…")
    return f"{kept}—", [mark for mark in marks if mark[1] <= len(kept)]


def typed(
    text: str, marks: list[tuple[int, int, Mark]], is_lowercase: bool, rng: random.Random
) -> str:
    """Return the text as a customer types it; text with marks keeps its letters in place."""
    if marks:
        return text
    if is_lowercase:
        text = text[0].lower() + text[1:] if not text.startswith(("I ", "I'")) else text
        text = text.removesuffix(".").replace("—", "-").replace("…", "...")
    if rng.random() < 0.35:
        old, new = _TYPOS[int(rng.random() * len(_TYPOS))]
        text = text.replace(old, new, 1)
    return text


_BACK_CHANNEL_WORDS = 24
_GREETING_TURNS = 3
_MAX_STATES = 12
_BARE_BANKS = ("id.", "ivr.", "short.", "bye", "wrap.", "drop.")
"""What a customer says without an opening word or an aside."""
_EXACT_BANKS = ("disc.", "plant.", "care.", "greet")
"""Said without a hesitation, since one inside a planted phrase would hide it."""


@dataclass(slots=True)
class SpokenTurn:
    """One utterance with what the truth needs to know of it."""

    speaker: Speaker
    agent_number: int
    """Which agent of the conversation speaks (or is on the line), from 0."""
    text: str
    marks: list[tuple[int, int, Mark]]
    is_cut: bool = False
    is_back_channel: bool = False
    banks: tuple[str, ...] = ()
    """Banks that it was said from."""

    @property
    def word_count(self) -> int:
        """Words as the ear counts them: runs between blanks."""
        return self.text.count(" ") + 1


@dataclass(slots=True)
class Planted:
    """What an agent did or left out, planted or of the scenario; see coaching.CHECKS."""

    behaviour: str
    turn: SpokenTurn | None
    """Where; None where it is in no one turn."""
    is_noisy: bool
    """Known by words that no matcher knows."""


@dataclass(slots=True)
class Talk:
    """The state of one conversation while it is made; `turns` and the facts are its result."""

    rng: random.Random
    scenario: Scenario
    direction: Direction
    medium: Medium
    day: dt.date
    brand: str
    person: Person
    persona: CustomerPersona
    agents: tuple[Agent, ...]
    balance_cents: int
    arrears_cents: int
    instalment_cents: int
    profile: Profile
    banks: Mapping[str, Bank]
    has_ivr: bool
    turns: list[SpokenTurn] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    next_actions: list[str] = field(default_factory=list)
    outcome: str = ""
    mood: int = 0
    moods: list[int] = field(default_factory=list)
    """The customer's mood at each of their turns."""
    agent_number: int = 0
    customer_speaks: bool = False
    used: set[tuple[str, int]] = field(default_factory=set)
    planted: list[Planted] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    """Banks of disclosures that the agent missed."""
    counts: dict[str, int] = field(default_factory=dict)
    """How often something could have been and how often it was, for asked against achieved."""

    @property
    def is_chat(self) -> bool:
        """True when typed."""
        return self.medium is Medium.CHAT

    @property
    def agent(self) -> Agent:
        """The agent on the line."""
        return self.agents[self.agent_number]

    def hold(self, script: Script) -> None:
        """Fill turns, flags, actions, outcome and moods."""
        self.mood = self.persona.temper
        if self.is_chat:
            self.flags.append("chat")
        name = "start"
        for _ in range(_MAX_STATES):
            state = self.scenario.states[name]
            self._do_all(state.moves, script)
            if not state.followers:
                return
            name = self._follower(state.followers)

    def _follower(self, followers: tuple[tuple[str, float], ...]) -> str:
        roll = self.rng.random() * sum(weight for _, weight in followers)
        for name, weight in followers:
            roll -= weight
            if roll < 0:
                return name
        return followers[-1][0]

    def _do_all(self, moves: tuple[Move, ...], script: Script) -> None:
        for move in moves:
            if isinstance(move, Say):
                self._say(move)
            elif isinstance(move, Group):
                if self.rng.random() < self._chance(move.chance):
                    self._do_all(move.moves, script)
            elif isinstance(move, Use):
                self._do_all(script.fragment(move.name, self.direction, self.medium), script)
            else:
                self._apply(move)

    def _chance(self, chance: float | str) -> float:
        if isinstance(chance, float):
            return chance
        return {
            "care": self.agent.care,
            "chatty": 0.0 if self.is_chat else self.persona.chattiness * 0.6,
            "ivr": 1.0 if self.has_ivr else 0.0,
        }[chance]

    def _apply(self, effect: Effect) -> None:
        kind, value = effect.kind, effect.value
        if kind == "mood":
            self.mood = max(-2, min(2, self.mood + int(value)))
        elif kind == "flag":
            if value not in self.flags:
                self.flags.append(value)
        elif kind == "action":
            self.next_actions.append(value)
        elif kind == "outcome":
            self.outcome = value
        elif kind == "transfer":
            self.agent_number = min(self.agent_number + 1, len(self.agents) - 1)
        elif self.turns and not self.is_chat:
            self._cut_last()

    def _cut_last(self) -> None:
        last = self.turns[-1]
        last.text, last.marks = cut_off(last.text, last.marks)
        last.is_cut = True

    def _say(self, move: Say) -> None:
        self.customer_speaks = move.speaker is Speaker.CUSTOMER
        phrasing = Phrasing()
        for name in move.banks:
            chosen = self._variant(name, move.speaker)
            if chosen is None:
                continue
            if phrasing.pieces:
                phrasing.pieces.append(" ")
            if self.customer_speaks:
                self._say_as_customer(chosen, phrasing)
            else:
                phrasing.say(pick(chosen, self.rng, self.used), self, self.used)
        if phrasing.pieces:
            self._finish(move.speaker, phrasing, move.banks)

    def utter(self, speaker: Speaker, banks: Sequence[str], agent_number: int) -> SpokenTurn:
        """Return a turn that says these banks, in other words now and then, unhesitating."""
        self.customer_speaks = speaker is Speaker.CUSTOMER
        phrasing = Phrasing()
        for name in banks:
            if phrasing.pieces:
                phrasing.pieces.append(" ")
            phrasing.say(pick(self._wording(name), self.rng, self.used), self, self.used)
        text, marks = phrasing.text()
        if self.is_chat and self.customer_speaks:
            text = typed(text, marks, self.persona.is_lowercase, self.rng)
        return SpokenTurn(speaker, agent_number, text, marks, banks=tuple(banks))

    def pace_of(self, turn: SpokenTurn) -> int:
        """Return how many words a minute the turn has when spoken."""
        return _pace(self, turn)

    def _say_as_customer(self, bank: Bank, phrasing: Phrasing) -> None:
        """Say it with an opening word and an aside, as the mood is."""
        tone = "neg" if self.mood < 0 else "pos" if self.mood > 0 else "neu"
        is_full = "." in bank.name and not bank.name.startswith(_BARE_BANKS)
        if is_full and self.rng.random() < 0.5:
            phrasing.say(pick(self.banks[f"opening.{tone}"], self.rng, self.used), self, self.used)
            phrasing.pieces.append(" ")
        phrasing.say(pick(bank, self.rng, self.used), self, self.used)
        if is_full and self.rng.random() < 0.12 + 0.45 * self.persona.chattiness:
            phrasing.pieces.append(" ")
            phrasing.say(pick(self.banks[f"aside.{tone}"], self.rng, self.used), self, self.used)

    def _variant(self, name: str, speaker: Speaker) -> Bank | None:
        """Return the bank for this medium, in other words or not at all where that may be."""
        dice = self.rng.random
        if name.startswith("disc.") and speaker is Speaker.AGENT:
            missed = dice() < self.profile.disclosure_missed_share
            self._count("disclosures", missed)
            if missed:
                self.left_out.add(name)
                return None
        return self._wording(name)

    def _wording(self, name: str) -> Bank:
        """Return the bank for this medium, in other words where that may be."""
        dice = self.rng.random
        noisy = self.banks.get(f"{name}.noisy")
        if noisy is not None:
            is_noisy = dice() < self.profile.noisy_phrase_share
            self._count("phrases", is_noisy)
            if is_noisy:
                return noisy
        if self.is_chat:
            return self.banks.get(f"{name}.chat") or self.banks[name]
        return self.banks[name]

    def _count(self, what: str, happened: bool) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
        self.counts[f"{what}.hit"] = self.counts.get(f"{what}.hit", 0) + happened

    def _finish(self, speaker: Speaker, phrasing: Phrasing, banks: tuple[str, ...]) -> None:
        is_exact = banks[-1].startswith(_EXACT_BANKS) or len(banks) > 1
        if self.customer_speaks:
            self.moods.append(self.mood)
        if not (self.is_chat or is_exact or speaker is Speaker.AUTOMATED_AGENT):
            share = self.persona.hesitation if self.customer_speaks else self.agent.hesitation
            hesitate(phrasing, share, self.rng)
        text, marks = phrasing.text()
        if self.is_chat and self.customer_speaks:
            text = typed(text, marks, self.persona.is_lowercase, self.rng)
        turn = SpokenTurn(speaker, self.agent_number, text, marks, banks=banks)
        self.turns.append(turn)
        if self.is_chat or speaker is Speaker.AUTOMATED_AGENT:
            return
        if turn.word_count > _BACK_CHANNEL_WORDS and len(self.turns) > _GREETING_TURNS:
            self._may_interrupt(turn)

    def _may_interrupt(self, turn: SpokenTurn) -> None:
        """After a long turn the other side sometimes hums, or breaks in."""
        roll = self.rng.random()
        if roll < self.profile.back_channel_share:
            listener = Speaker.AGENT if turn.speaker is Speaker.CUSTOMER else Speaker.CUSTOMER
            bank = self.banks["back_channel"]
            text = bank.templates[int(self.rng.random() * len(bank.templates))][0]
            self.turns.append(
                SpokenTurn(listener, turn.agent_number, str(text), [], is_back_channel=True)
            )
            if listener is Speaker.CUSTOMER:
                self.moods.append(self.mood)
            phrasing = Phrasing()
            name = "go_on.agent" if turn.speaker is Speaker.AGENT else "go_on.customer"
            phrasing.say(pick(self.banks[name], self.rng, self.used), self, self.used)
            said, marks = phrasing.text()
            self.turns.append(SpokenTurn(turn.speaker, turn.agent_number, said, marks))
            if turn.speaker is Speaker.CUSTOMER:
                self.moods.append(self.mood)
        elif roll < self.profile.back_channel_share + self.profile.interruption_share:
            has_noisy = any(isinstance(mark, NoisyLabel) for _, _, mark in turn.marks)
            if not has_noisy:
                self._cut_last()


_BOT_WORDS_PER_MINUTE = 160
_TYPED_WORDS_PER_MINUTE = {Speaker.AGENT: 52, Speaker.CUSTOMER: 30, Speaker.AUTOMATED_AGENT: 6000}


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """When each turn begins and ends and when all is over, in tenths of a second."""

    starts: list[int]
    ends: list[int]
    """Empty where turns are typed."""
    end: int


def turn_times(talk: Talk) -> TurnTimes:
    """Return the times of the talk's turns."""
    return _typed(talk.turns, talk.rng) if talk.is_chat else _spoken(talk)


def _spoken(talk: Talk) -> TurnTimes:
    dice = talk.rng.random
    starts: list[int] = []
    ends: list[int] = []
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
        ends.append(start + length)
        end = max(end, start + length)
        previous = turn
    return TurnTimes(starts, ends, end + 5 + int(dice() * 20))


def _pace(talk: Talk, turn: SpokenTurn) -> int:
    if turn.speaker is Speaker.CUSTOMER:
        return talk.persona.words_per_minute
    if turn.speaker is Speaker.AGENT:
        return talk.agents[turn.agent_number].words_per_minute
    return _BOT_WORDS_PER_MINUTE


def _typed(turns: Sequence[SpokenTurn], rng: random.Random) -> TurnTimes:
    starts: list[int] = []
    now = 0
    for turn in turns:
        think = 5 if turn.speaker is Speaker.AUTOMATED_AGENT else 30 + int(rng.random() * 250)
        now += think + turn.word_count * 600 // _TYPED_WORDS_PER_MINUTE[turn.speaker]
        starts.append(now)
    return TurnTimes(starts, [], now + 50 + int(rng.random() * 200))
