"""Faults and exemplary behaviour of agents, planted into a talk that was held.

What is planted is told to `expected.json` as the check of the rubric that it is for, with the
verdict that a person would give. A plant is put only where nothing that was said speaks against it,
so that the verdict follows from the plant and not from judging the talk.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.datagen.grammar import NoisyLabel
from ingest.datagen.scenarios import BusinessLine, CallOutcome
from ingest.datagen.talk import Planted, SpokenTurn, Talk, cut_off
from ingest.datagen.truth import DISCLOSURE_MATCHER, PhraseTruth
from ingest.domain.conversation import Speaker

CHECKS = {
    "notice_late": ("recording_notice_early", "fail"),
    "call_recording_left_out": ("recording_notice_early", "fail"),
    "identity_check_left_out": ("identity_check", "fail"),
    "collection_purpose_left_out": ("collection_purpose", "fail"),
    "hardship_rights_left_out": ("hardship_named", "fail"),
    "violation": ("no_violation", "fail"),
    "cue_passed_over": ("vulnerability_met", "fail"),
    "cue_met": ("vulnerability_met", "pass"),
    "distress_passed_over": ("distress_met_soon", "fail"),
    "distress_met": ("distress_met_soon", "pass"),
    "hardship_withheld": ("hardship_offered", "fail"),
    "complaint_passed_over": ("complaint_taken_up", "fail"),
    "complaint_logged": ("complaint_taken_up", "pass"),
    "supervisor_refused": ("supervisor_given", "fail"),
    "supervisor_given": ("supervisor_given", "pass"),
    "fall_passed_over": ("fall_met", "fail"),
    "fall_met": ("fall_met", "pass"),
    "no_empathy": ("empathy_where_it_is_hard", "fail"),
    "complaint_unheard": ("complaint_heard", "fail"),
    "monologue": ("talk_share", "fail"),
    "interruptions": ("interruptions", "fail"),
}
"""Check of seeds/coaching_rubric.csv and its verdict, by what was planted."""

_DISTRESS = "plant.mental_health"
_CUES = ("plant.illness", "plant.bereavement", "plant.job_loss", _DISTRESS, _DISTRESS)
_TAKEN_UP = frozenset({CallOutcome.COMPLAINT_LOGGED, CallOutcome.ESCALATED_TO_SUPERVISOR})
_HARD = _TAKEN_UP | {CallOutcome.HARDSHIP_REFERRED, CallOutcome.NO_AGREEMENT}
_UNHELPED = frozenset(
    {
        CallOutcome.PROMISE_TO_PAY,
        CallOutcome.PAYMENT_TAKEN,
        CallOutcome.NO_AGREEMENT,
        CallOutcome.DISPUTE_LOGGED,
    }
)
_OPENING_TURNS = 10
_INTERRUPTIONS = 4
_LEAST_WORDS = 5
_AGENTS_SHARE = 0.78
_MOST_TURNS_OF_MONOLOGUE = 60
_LEFT_OUT = ("call_recording", "identity_check", "collection_purpose", "hardship_rights")


@dataclass(slots=True)
class _Stage:
    """A talk with what was said in it: matcher, group, and whether a customer said it."""

    talk: Talk
    truth: PhraseTruth
    said: frozenset[tuple[str, str, bool]]

    def has(self, matcher: str, group: str | None = None, *, by_customer: bool = False) -> bool:
        return any(
            (name, who) == (matcher, by_customer) and group in (None, found)
            for name, found, who in self.said
        )

    def place(self) -> int | None:
        """Return a turn in the middle before which customer and agent may digress."""
        turns = self.talk.turns
        places = [
            after
            for after in range(7, len(turns) - 3)
            if turns[after].speaker is Speaker.CUSTOMER
            and turns[after - 1].speaker is Speaker.AGENT
            and not (turns[after - 1].is_cut or turns[after - 1].is_back_channel)
            and not turns[after].is_back_channel
        ]
        return _one_of(self.talk.rng, places) if places else None

    def digress(self, *lines: tuple[Speaker, str, int]) -> list[SpokenTurn]:
        """Put turns of these banks in, each with the customer's mood; none without a place."""
        place = self.place()
        if place is None:
            return []
        talk = self.talk
        number = talk.turns[place - 1].agent_number
        made = [talk.utter(speaker, [bank], number) for speaker, bank, _ in lines]
        before = sum(turn.speaker is Speaker.CUSTOMER for turn in talk.turns[:place])
        moods = [mood for speaker, _, mood in lines if speaker is Speaker.CUSTOMER]
        talk.turns[place:place] = made
        talk.moods[before:before] = moods
        return made

    def note(self, behaviour: str, turn: SpokenTurn | None, *noisy: SpokenTurn) -> bool:
        """Note what was planted; noisy where one of these turns says it in other words."""
        is_noisy = any(_has_noise(each) for each in noisy)
        self.talk.planted.append(Planted(behaviour, turn, is_noisy))
        return True


class Planter:
    """Plants at most one behaviour a talk, and notes those that its scenario has anyway."""

    def __init__(self, truth: PhraseTruth) -> None:
        self._truth = truth

    def plant(self, talk: Talk, rng: random.Random) -> None:
        """Plant a fault or an exemplary behaviour as often as the profile says.

        The dice are the plant's own, so that the talk is as it would be without.
        """
        roll, own = rng.random(), talk.rng
        faulty = talk.profile.coaching_fault_share
        talk.rng = rng
        if roll < faulty:
            self._first_that_fits(talk, _FAULTS)
        elif roll < faulty + talk.profile.exemplary_share:
            self._first_that_fits(talk, _EXEMPLARY)
        talk.rng = own
        self._note_own(talk)

    def _first_that_fits(self, talk: Talk, plants: tuple[_Plant, ...]) -> None:
        kind = "exemplary" if plants is _EXEMPLARY else "coaching_fault"
        stage = _stage_of(talk, self._truth, talk.turns)
        left = list(plants)
        while left:
            plant = left.pop(int(talk.rng.random() * len(left)))
            if plant(stage):
                talk.counts[kind] = 1
                return

    def _note_own(self, talk: Talk) -> None:
        """Note disclosures that the agent left out, and violations, also those of the scenario."""
        stage = _stage_of(talk, self._truth, talk.turns if talk.left_out else ())
        for disclosure in _LEFT_OUT:
            is_left_out = any(name.startswith(f"disc.{disclosure}") for name in talk.left_out)
            if is_left_out and not stage.has(DISCLOSURE_MATCHER, disclosure):
                stage.note(f"{disclosure}_left_out", None)
        violations = [turn for turn in talk.turns if "plant.violation" in turn.banks]
        if violations:
            worst = next((turn for turn in violations if not _has_noise(turn)), violations[0])
            stage.note("violation", worst, worst)


def _stage_of(talk: Talk, truth: PhraseTruth, turns: Sequence[SpokenTurn]) -> _Stage:
    """Return what these turns of the talk say, in the matchers' words or in others."""
    said = {
        (hit.matcher, hit.group, turns[hit.turn_index].speaker is Speaker.CUSTOMER)
        for hit in truth.find([(turn.speaker.value, turn.text) for turn in turns])
    }
    for turn in turns:
        for _, _, mark in turn.marks:
            if isinstance(mark, NoisyLabel):
                said.add((mark.matcher, mark.group, turn.speaker is Speaker.CUSTOMER))
    return _Stage(talk, truth, frozenset(said))


def _has_noise(turn: SpokenTurn) -> bool:
    return any(isinstance(mark, NoisyLabel) for _, _, mark in turn.marks)


def _one_of[T](rng: random.Random, choices: list[T] | tuple[T, ...]) -> T:
    return choices[int(rng.random() * len(choices))]


def _customer(bank: str, mood: int = -1) -> tuple[Speaker, str, int]:
    return Speaker.CUSTOMER, bank, mood


def _agent(bank: str) -> tuple[Speaker, str, int]:
    return Speaker.AGENT, bank, 0


_GOING_ON = (_agent("coach.go_on"), _customer("coach.short"))


def _cue(stage: _Stage, *, is_met: bool, bank: str | None = None) -> bool:
    """Tell of a hard thing that the agent takes up at once, or not within a minute."""
    if stage.has("vulnerability_indicators", by_customer=True):
        return False
    told = bank or _one_of(stage.talk.rng, _CUES)
    reply = _agent("care.vulnerable" if is_met else "coach.go_on")
    pairs = 4 if told == _DISTRESS else 2
    rest = (_customer("coach.short"), *_GOING_ON * (pairs - 1), _agent("coach.go_on"))
    made = stage.digress(_customer(told), reply, *rest)
    if not made:
        return False
    verdict = "met" if is_met else "passed_over"
    noisy = made[:2] if is_met else made[:1]
    stage.note(f"cue_{verdict}", made[0], *noisy)
    if told == _DISTRESS and not stage.talk.is_chat:
        stage.note(f"distress_{verdict}", made[0], *noisy)
    return True


def _cue_passed_over(stage: _Stage) -> bool:
    return _cue(stage, is_met=False)


def _cue_met(stage: _Stage) -> bool:
    return _cue(stage, is_met=True)


def _hardship_withheld(stage: _Stage) -> bool:
    talk = stage.talk
    is_due = talk.scenario.business_line is BusinessLine.COLLECTIONS and talk.outcome in _UNHELPED
    if not is_due or not _cue(stage, is_met=False, bank="plant.distress"):
        return False
    cue = talk.planted[-1].turn
    return cue is not None and stage.note("hardship_withheld", cue, cue)


def _asked(stage: _Stage, group: str, behaviour: str, reply: str) -> bool:
    """Have the customer ask for a complaint or a supervisor; the outcome says what came of it."""
    if stage.has("escalation_triggers", group, by_customer=True):
        return False
    made = stage.digress(_customer(f"plant.escalation_{group}", -2), _agent(reply))
    return bool(made) and stage.note(behaviour, made[0], made[0])


def _complaint_passed_over(stage: _Stage) -> bool:
    is_free = stage.talk.outcome not in _TAKEN_UP
    return is_free and _asked(stage, "complaint", "complaint_passed_over", "coach.go_on")


def _complaint_logged(stage: _Stage) -> bool:
    is_taken_up = stage.talk.outcome in _TAKEN_UP
    return is_taken_up and _asked(stage, "complaint", "complaint_logged", "complain.log")


def _supervisor_refused(stage: _Stage) -> bool:
    is_free = stage.talk.outcome not in _TAKEN_UP | {CallOutcome.CALLBACK_SCHEDULED}
    return is_free and _asked(stage, "supervisor", "supervisor_refused", "calm.delay")


def _supervisor_given(stage: _Stage) -> bool:
    is_given = stage.talk.outcome in _TAKEN_UP | {CallOutcome.CALLBACK_SCHEDULED}
    return is_given and _asked(stage, "supervisor", "supervisor_given", "coach.fetch")


def _fall(stage: _Stage, *, is_met: bool) -> bool:
    """Have the mood fall as far as it can, to words of comfort or to none."""
    after = "care.acknowledge" if is_met else "coach.go_on"
    more = _customer("coach.short", -1) if is_met else _customer("mood.outburst", -2)
    is_mild = stage.talk.rng.random() < stage.talk.profile.noisy_phrase_share
    outburst = _customer("mood.outburst_mild" if is_mild else "mood.outburst", -2)
    talk = (_customer("mood.delight", 2), _agent("coach.go_on"), outburst, _agent(after), more)
    made = stage.digress(*talk, _agent("coach.go_on"))
    if not made:
        return False
    stage.note("fall_met" if is_met else "fall_passed_over", made[2], made[3])
    if is_mild:
        stage.talk.planted[-1].is_noisy = True
    return True


def _fall_passed_over(stage: _Stage) -> bool:
    return _fall(stage, is_met=False)


def _fall_met(stage: _Stage) -> bool:
    return _fall(stage, is_met=True)


def _no_empathy(stage: _Stage) -> bool:
    """Leave out all words of comfort, where nothing else that the agent says is one."""
    talk = stage.talk
    rest = [turn for turn in talk.turns if not _is_of(turn, "care.")]
    if talk.outcome not in _HARD or len(rest) == len(talk.turns):
        return False
    if _stage_of(talk, stage.truth, rest).has("empathy_indicators"):
        return False
    talk.turns[:] = rest
    stage.note("complaint_unheard", None)
    return stage.note("no_empathy", None)


def _notice_late(stage: _Stage) -> bool:
    """Take the recording notice out of the opening and say it near the end."""
    talk = stage.talk
    opening = next((turn for turn in talk.turns if _is_of(turn, "disc.call_recording")), None)
    late = [turn for turn in talk.turns[_OPENING_TURNS + 2 :] if turn.speaker is Speaker.AGENT]
    if talk.is_chat or opening is None or not late:
        return False
    rest = [turn for turn in talk.turns if turn is not opening]
    if _stage_of(talk, stage.truth, rest).has(DISCLOSURE_MATCHER, "call_recording"):
        return False
    kept = [name for name in opening.banks if not name.startswith("disc.")]
    said = talk.utter(Speaker.AGENT, kept, opening.agent_number)
    opening.text, opening.marks, opening.banks = said.text, said.marks, said.banks
    _append(talk, late[-1], "disc.call_recording")
    return stage.note("notice_late", late[-1], late[-1])


def _violation(stage: _Stage) -> bool:
    """Let an agent slip once; what it is by is noted with the violations of the scenario."""
    talk = stage.talk
    turns = [
        turn
        for turn in talk.turns[6:-2]
        if turn.speaker is Speaker.AGENT and not (turn.is_cut or turn.is_back_channel)
    ]
    if not turns or stage.has("compliance_violations"):
        return False
    _append(talk, _one_of(talk.rng, turns), "plant.violation")
    return True


def _monologue(stage: _Stage) -> bool:
    """Let the agent talk until the customer has little of the talk."""
    talk = stage.talk
    mine = [turn for turn in talk.turns[2:-2] if turn.speaker is Speaker.AGENT and not turn.is_cut]
    if len(mine) < 4 or len(talk.turns) > _MOST_TURNS_OF_MONOLOGUE:
        return False
    place = 0
    while _agents_share(talk) < _AGENTS_SHARE:
        _append(talk, mine[place % len(mine)], "coach.lecture")
        place += 1
    return stage.note("monologue", None)


def _agents_share(talk: Talk) -> float:
    """Return the least share of the talk that is the agent's, by words and by how fast they are."""
    words, time = {True: 0, False: 1}, {True: 0.0, False: 1.0}
    for turn in talk.turns:
        is_agent = turn.speaker is Speaker.AGENT
        words[is_agent] += turn.word_count
        time[is_agent] += turn.word_count / talk.pace_of(turn)
    return min(each[True] / (each[True] + each[False]) for each in (words, time))


def _interruptions(stage: _Stage) -> bool:
    """Let the agent break in on the customer; without ends of turns nobody can count that."""
    talk = stage.talk
    places = [
        (turn, after)
        for turn, after in pairwise(talk.turns[2:])
        if turn.speaker is Speaker.CUSTOMER
        and after.speaker is Speaker.AGENT
        and not (turn.marks or turn.is_cut or turn.is_back_channel or after.is_back_channel)
        and min(turn.word_count, after.word_count) >= _LEAST_WORDS
        and not _is_of(turn, "plant.")
    ]
    if talk.is_chat or len(places) < _INTERRUPTIONS:
        return False
    for turn, _ in places[:_INTERRUPTIONS]:
        turn.text, turn.marks = cut_off(turn.text, turn.marks)
        turn.is_cut = True
    return stage.note("interruptions", None)


def _is_of(turn: SpokenTurn, bank: str) -> bool:
    return any(name.startswith(bank) for name in turn.banks)


def _append(talk: Talk, turn: SpokenTurn, bank: str) -> None:
    """Have the turn go on with a sentence of the bank."""
    more = talk.utter(turn.speaker, [bank], turn.agent_number)
    at = len(turn.text) + 1
    turn.text = f"{turn.text} {more.text}"
    turn.marks = [*turn.marks, *((at + first, at + last, mark) for first, last, mark in more.marks)]
    turn.banks = (*turn.banks, *more.banks)


_Plant = Callable[[_Stage], bool]
_FAULTS: tuple[_Plant, ...] = (
    _notice_late,
    _violation,
    _cue_passed_over,
    _hardship_withheld,
    _complaint_passed_over,
    _supervisor_refused,
    _fall_passed_over,
    _no_empathy,
    _monologue,
    _interruptions,
)
_EXEMPLARY: tuple[_Plant, ...] = (_cue_met, _complaint_logged, _supervisor_given, _fall_met)
