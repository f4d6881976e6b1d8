"""One conversation of a data set, made from the seed and its number alone.

Conversation `index` of seed `seed` is the same whatever else is made, in which order and where:
its dice are thrown from the text `seed:index`, and only arithmetic that every machine does alike
is used on them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from ingest.datagen import cast
from ingest.datagen.cast import make_person, make_persona
from ingest.datagen.coaching import CHECKS, Planter
from ingest.datagen.grammar import NoisyLabel, Phrasing, load_banks, pick
from ingest.datagen.profile import CustomValues, Profile, Range
from ingest.datagen.scenarios import BusinessLine, Scenario, load_script
from ingest.datagen.slots import SLOTS
from ingest.datagen.talk import SpokenTurn, Talk, TurnTimes, turn_times
from ingest.datagen.truth import (
    load_phrase_truth,
    load_required_disclosures,
    load_words,
    missing_disclosures,
)
from ingest.domain.conversation import (
    SCHEMA_VERSION,
    TRANSCRIPT_SCHEMA_VERSION,
    Direction,
    Medium,
    Speaker,
)


def uuid_of(text: str) -> str:
    """Return the UUID (version 8, RFC 9562) that is made from the SHA-256 of the text."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    variant = "89ab"[int(digest[16], 16) % 4]
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def sentiment_arc(moods: Sequence[int]) -> str:
    """Return the name of the way from the customer's first three turns to the last three.

    Moods are -2 to 2; within half a point of zero is neutral.
    """
    if not moods:
        return "steady_neutral"
    first, last = (sum(part) / len(part) for part in (moods[:3], moods[-3:]))
    return {
        (-1, 1): "negative_to_positive",
        (1, -1): "positive_to_negative",
        (-1, -1): "steady_negative",
        (0, 0): "steady_neutral",
        (1, 1): "steady_positive",
    }.get((_side(first), _side(last)), "mixed")


def _side(mood: float) -> int:
    return 0 if abs(mood) < 0.5 else (1 if mood > 0 else -1)


_LANGUAGE = "en-AU"
_QUEUES = {"COMPLAINT": "complaints-inbound", "DISPUTE": "disputes-inbound"}
"""Queues of calls that come in about one thing, by reason."""
_URGENT_FLAGS = frozenset({"vulnerability", "family_violence", "complaint", "agent_misconduct"})


@dataclass(slots=True)
class MadeConversation:
    """The three files of one conversation as JSON values, with figures of how it was made."""

    conversation_id: str
    batch_date: dt.date
    metadata: dict[str, Any]
    transcription: dict[str, Any]
    expected: dict[str, Any]
    counts: dict[str, int] = field(default_factory=dict)


def conversation_id_of(seed: int, index: int) -> str:
    """Return the id (a UUID) of a conversation without making it."""
    return uuid_of(f"conversation:{seed}:{index}")


class Maker:
    """Makes conversations; holds what is read once: banks, script, matchers, weights."""

    def __init__(
        self, seed: int, profile: Profile, first_day: dt.date, days: int, seeds_dir: Path
    ) -> None:
        self.seed = seed
        self._profile = profile
        self._script = load_script()
        self._banks = load_banks(SLOTS)
        self._truth = load_phrase_truth(seeds_dir)
        self._planter = Planter(self._truth)
        self._required = load_required_disclosures(seeds_dir)
        self._words = load_words(seeds_dir)
        self._days = [first_day + dt.timedelta(days=number) for number in range(days)]
        weights = [profile.weekdays[day.weekday()] for day in self._days]
        self._day_weights = list(accumulate(weights if sum(weights) else [1.0] * days))
        self._scenarios = [
            self._script.scenarios[name] for name, weight in profile.scenarios.items() if weight
        ]
        shares = [profile.scenarios[scenario.name] for scenario in self._scenarios]
        self._scenario_weights = list(accumulate(shares))
        self._hours = list(profile.hours)
        self._hour_weights = list(accumulate(profile.hours.values()))
        self._chat_chances = _chat_chances(self._scenarios, shares, profile.chat_share)

    def make(self, index: int) -> MadeConversation:
        """Return conversation number `index`."""
        rng = random.Random(f"{self.seed}:{index}")
        talk, queue = self._prepare(rng)
        talk.hold(self._script)
        self._planter.plant(talk, random.Random(f"coaching:{self.seed}:{index}"))
        self._greet(talk, random.Random(f"greeting:{self.seed}:{index}"))
        conversation_id = conversation_id_of(self.seed, index)
        times = turn_times(talk)
        metadata = self._metadata(talk, queue, conversation_id, times.end)
        turns = self._turns(talk, times)
        transcription = {
            "schema_version": TRANSCRIPT_SCHEMA_VERSION,
            "conversation_id": conversation_id,
            "turns": turns,
        }
        return MadeConversation(
            conversation_id,
            talk.day,
            metadata,
            transcription,
            self.expected(talk, metadata, turns),
            _counts(talk),
        )

    def _greet(self, talk: Talk, rng: random.Random) -> None:
        """Open in another language as often as the profile says: agent and customer greet in it."""
        roll = rng.random()
        for code, greeting in self._profile.greetings.items():
            roll -= greeting.share
            if roll < 0:
                talk.counts[f"greeting.{code}"] = 1
                for speaker in (Speaker.AGENT, Speaker.CUSTOMER):
                    words = greeting.words[int(rng.random() * len(greeting.words))]
                    _say_before(next(t for t in talk.turns if t.speaker is speaker), words)
                return

    def _turns(self, talk: Talk, times: TurnTimes) -> list[dict[str, Any]]:
        """Return the turns; a share of the calls have what only a recogniser of speech knows."""
        has_transfer = talk.agent_number > 0
        is_recognised = bool(times.ends) and talk.rng.random() < self._profile.turn_ends_share
        turns = []
        for index, (turn, start) in enumerate(zip(talk.turns, times.starts, strict=True)):
            fields: dict[str, Any] = {"turn_index": index, "speaker": turn.speaker.value}
            if has_transfer and turn.speaker.value == "AGENT":
                fields["participant_id"] = talk.agents[turn.agent_number].agent_id
            fields["start_offset_sec"] = start / 10
            if is_recognised:
                fields["end_offset_sec"] = times.ends[index] / 10
                fields["confidence"] = (850 + int(talk.rng.random() * 150)) / 1000
                fields["language_code"] = _LANGUAGE
            fields["text"] = turn.text
            turns.append(fields)
        return turns

    def expected(
        self, talk: Talk, metadata: dict[str, Any], turns: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        """Return the truth about the talk, which the pipeline never reads."""
        found = self._truth.find([(turn["speaker"], turn["text"]) for turn in turns])
        matches = [
            _match(hit.matcher, hit.group, hit.turn_index, hit.phrase, hit.start_char, hit.end_char)
            for hit in found
        ]
        spans = []
        for index, turn in enumerate(talk.turns):
            for start, end, mark in turn.marks:
                if isinstance(mark, NoisyLabel):
                    matches.append(
                        _match(mark.matcher, mark.group, index, mark.phrase, start, end, True)
                    )
                else:
                    spans.append(
                        {"type": mark, "turn_index": index, "start_char": start, "end_char": end}
                    )
        missing = missing_disclosures(self._required, found, metadata)
        return {
            "schema_version": SCHEMA_VERSION,
            "conversation_id": metadata["conversation_id"],
            "scenario": talk.scenario.name,
            "flags": [*talk.flags, *(["missing_disclosure"] if missing else [])],
            "phrase_matches": matches,
            "missing_disclosures": missing,
            "pii_spans": spans,
            "coaching": _planted(talk, turns),
            "sentiment_arc": sentiment_arc(talk.moods),
            "next_actions": talk.next_actions,
            "pipeline": {"outcome": "analysed"},
        }

    def _prepare(self, rng: random.Random) -> tuple[Talk, str]:
        dice = rng.random
        at = rng.choices(range(len(self._scenarios)), cum_weights=self._scenario_weights)[0]
        scenario = self._scenarios[at]
        medium = Medium.CHAT if dice() < self._chat_chances[at] else Medium.PHONE_CALL
        directions, weights = zip(*scenario.directions, strict=True)
        direction = (
            Direction.INBOUND
            if medium is Medium.CHAT
            else rng.choices(directions, weights=weights)[0]
        )
        day = rng.choices(self._days, cum_weights=self._day_weights)[0]
        agents, queue = cast.staff(rng, scenario.business_line, direction, medium)
        if direction is Direction.INBOUND and medium is Medium.PHONE_CALL:
            queue = _QUEUES.get(scenario.call_reason, queue)
        brand = cast.LOANS_BRAND
        if scenario.business_line is BusinessLine.COLLECTIONS:
            brand = "Meridian Recoveries" if dice() < 0.65 else "Harbourline Finance"
        arrears = (4 + int(dice() * 90)) * 1000 + int(dice() * 100) * int(dice() * 2)
        talk = Talk(
            rng=rng,
            scenario=scenario,
            direction=direction,
            medium=medium,
            day=day,
            brand=brand,
            person=make_person(rng, day.year),
            persona=make_persona(rng, self._profile.hesitation, scenario.mood),
            agents=agents,
            balance_cents=arrears * (2 + int(dice() * 7)) + int(dice() * 100),
            arrears_cents=arrears,
            instalment_cents=(7 + int(dice() * 30)) * 500,
            profile=self._profile,
            banks=self._banks,
            has_ivr=direction is Direction.INBOUND and dice() < self._profile.ivr_share,
        )
        return talk, queue

    def _metadata(self, talk: Talk, queue: str, conversation_id: str, end: int) -> dict[str, Any]:
        rng, agent = talk.rng, talk.agents[0]
        started_at = self._start(talk)
        duration = -(-end // 10)
        fields: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "conversation_id": conversation_id,
            "direction": talk.direction.value,
            "business_line": self._words.of("business_line", talk.scenario.business_line),
            "medium": talk.medium.value,
            "language_code": _LANGUAGE,
            "queue": self._words.of("queue", queue),
            "agent_id": agent.agent_id,
            "agent_name": agent.name,
            "agent_team": agent.team,
            "agent_site": agent.site,
        }
        if talk.scenario.business_line is BusinessLine.COLLECTIONS:
            portfolios = cast.PORTFOLIOS[talk.brand]
            fields["portfolio_id"] = portfolios[int(rng.random() * len(portfolios))]
        else:
            campaigns = cast.CAMPAIGNS
            fields["campaign_id"] = campaigns[int(rng.random() * len(campaigns))]
        fields["call_outcome"] = self._words.of("call_outcome", talk.outcome)
        fields["call_reason"] = self._words.of("call_reason", talk.scenario.call_reason)
        fields["started_at"] = started_at.isoformat()
        fields["ended_at"] = (started_at + dt.timedelta(seconds=duration)).isoformat()
        fields["duration_sec"] = float(duration)
        if rng.random() < 0.7:
            fields["agent_notes"] = self._note(talk)
        labels = _labels(talk)
        if labels:
            fields["labels"] = labels
        if self._profile.custom:
            fields["custom"] = {
                name: _custom_value(values, rng) for name, values in self._profile.custom.items()
            }
        return fields

    def _start(self, talk: Talk) -> dt.datetime:
        hour = talk.rng.choices(self._hours, cum_weights=self._hour_weights)[0]
        time = dt.time(hour, int(talk.rng.random() * 60), int(talk.rng.random() * 60))
        zone = cast.site_offset(talk.agents[0].site, talk.day)
        return dt.datetime.combine(talk.day, time, zone)

    def _note(self, talk: Talk) -> str:
        phrasing = Phrasing()
        for name in ("note.start", f"note.{talk.outcome}"):
            phrasing.say(pick(self._banks[name], talk.rng, talk.used), talk, talk.used)
        return " ".join(phrasing.pieces)


def _say_before(turn: SpokenTurn, words: str) -> None:
    said = f"{words[0].upper()}{words[1:]}. "
    turn.text = said + turn.text
    turn.marks = [(len(said) + first, len(said) + last, mark) for first, last, mark in turn.marks]


def _custom_value(values: CustomValues, rng: random.Random) -> Any:
    if isinstance(values, Range):
        tenths = round((values.last - values.first) * 10)
        return round(values.first + int(rng.random() * (tenths + 1)) / 10, 1)
    return values[int(rng.random() * len(values))]


def _chat_chances(
    scenarios: Sequence[Scenario], shares: Sequence[float], chat_share: float
) -> list[float]:
    """Return each scenario's chance of being a chat, so that both shares come out as asked."""
    appetite = [
        share * scenario.chat_weight for scenario, share in zip(scenarios, shares, strict=True)
    ]
    total, whole = sum(appetite), sum(shares)
    return [
        min(1.0, chat_share * wanted / total * whole / share) if total else 0.0
        for wanted, share in zip(appetite, shares, strict=True)
    ]


def _match(
    matcher: str, group: str, turn: int, phrase: str, start: int, end: int, is_noisy: bool = False
) -> dict[str, Any]:
    return {
        "matcher": matcher,
        "group": group,
        "turn_index": turn,
        "phrase": phrase,
        "start_char": start,
        "end_char": end,
        "is_noisy": is_noisy,
    }


def _planted(talk: Talk, turns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the agent did or left out; interruptions only where turns have an end."""
    planted = []
    for each in talk.planted:
        check, verdict = CHECKS[each.behaviour]
        if each.behaviour == "interruptions" and "end_offset_sec" not in turns[0]:
            continue
        places = [place for place, turn in enumerate(talk.turns) if turn is each.turn]
        planted.append(
            {
                "behaviour": each.behaviour,
                "check_id": check,
                "verdict": verdict,
                "turn_index": places[0] if places else None,
                "is_noisy": each.is_noisy,
            }
        )
    return planted


def _labels(talk: Talk) -> dict[str, str]:
    labels = {}
    if not _URGENT_FLAGS.isdisjoint(talk.flags):
        labels["priority"] = "high"
    if "vulnerability" in talk.flags:
        labels["care_flag"] = "sensitive"
    if talk.is_chat:
        labels["device"] = "mobile" if talk.rng.random() < 0.7 else "desktop"
    return labels


def _counts(talk: Talk) -> dict[str, int]:
    return {
        f"scenario.{talk.scenario.name}": 1,
        "conversations": 1,
        "turns": len(talk.turns),
        "chat": int(talk.is_chat),
        "inbound_calls": int(talk.direction is Direction.INBOUND and not talk.is_chat),
        "ivr": int("bot_opening" in talk.flags),
        **talk.counts,
    }
