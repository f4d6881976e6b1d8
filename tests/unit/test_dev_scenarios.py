"""The dev data as a whole: the scenarios a contact centre meets, and no two calls alike."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable

import pytest
from dev_conversations import FOLDERS, DevConversation, everything

from ingest.datagen.scenarios import BusinessLine, CallOutcome
from ingest.domain.conversation import Direction, Medium, Speaker

SUPPORT_CALL = (BusinessLine.LOANS, Direction.INBOUND, Medium.PHONE_CALL)


def has_flags(*flags: str) -> Callable[[DevConversation], bool]:
    return lambda conversation: set(flags) <= conversation.flags


def ends_as(outcome: CallOutcome) -> Callable[[DevConversation], bool]:
    return lambda conversation: conversation.metadata.call_outcome == outcome


def hits(matcher: str, *groups: str) -> Callable[[DevConversation], bool]:
    return lambda conversation: set(groups) <= conversation.groups_hit(matcher)


def has_turns(least: int, most: int) -> Callable[[DevConversation], bool]:
    return lambda conversation: least <= len(conversation.texts) <= most


SCENARIOS: dict[str, tuple[Callable[[DevConversation], bool], ...]] = {
    "payment plan agreed": (
        has_flags("payment_plan"),
        ends_as(CallOutcome.PAYMENT_PLAN_AGREED),
    ),
    "wrong party who learns nothing of a debt": (
        has_flags("wrong_party"),
        ends_as(CallOutcome.WRONG_PARTY),
        lambda c: not c.groups_hit("required_disclosures") & {"collection_purpose"},
    ),
    "contact preference changed": (
        has_flags("contact_preference"),
        ends_as(CallOutcome.CONTACT_PREFERENCE_UPDATED),
    ),
    "hardship with job loss": (
        has_flags("hardship", "job_loss"),
        hits("vulnerability_indicators", "job_loss"),
    ),
    "hardship with a mental-health disclosure": (
        has_flags("hardship", "mental_health"),
        hits("vulnerability_indicators", "mental_health"),
        hits("empathy_indicators", "acknowledgement", "gratitude"),
    ),
    "vulnerability": (has_flags("vulnerability", "family_violence"),),
    "repayment extension": (has_flags("extension"), ends_as(CallOutcome.EXTENSION_GRANTED)),
    "angry customer calmed down": (
        hits("escalation_triggers", "stop_contact"),
        lambda c: c.expected.sentiment_arc == "negative_to_positive",
    ),
    "complaint threat and ombudsman": (
        has_flags("complaint", "ombudsman"),
        hits("escalation_triggers", "complaint", "external"),
    ),
    "dispute, already paid": (has_flags("dispute", "already_paid"),),
    "dispute, not mine": (has_flags("dispute", "not_mine"),),
    "supervisor transfer": (
        has_flags("supervisor_transfer"),
        hits("escalation_triggers", "supervisor"),
        lambda c: len({turn.participant_id for turn in c.transcription.turns}) > 2,
    ),
    "purchased portfolio": (
        has_flags("purchased_debt"),
        lambda c: c.metadata.portfolio_id is not None,
    ),
    "toxic agent with threats": (
        has_flags("agent_misconduct"),
        lambda c: len(c.groups_hit("compliance_violations")) >= 3,
    ),
    "exemplary agent": (
        has_flags("exemplary_agent"),
        lambda c: not c.groups_hit("compliance_violations"),
        hits("empathy_indicators", "acknowledgement"),
    ),
    "loans support inbound": (
        lambda c: c.lines == SUPPORT_CALL and c.metadata.queue == "loans-support-inbound",
    ),
    "chat": (has_flags("chat"), lambda c: c.metadata.medium == Medium.CHAT),
    "IVR or bot opening": (
        has_flags("bot_opening"),
        lambda c: c.transcription.turns[0].speaker is Speaker.AUTOMATED_AGENT,
    ),
    "very short": (has_turns(1, 8),),
    "very long": (has_turns(120, 1000),),
    "multi-intent": (has_flags("multi_intent"), lambda c: len(c.expected.next_actions) >= 3),
    "broken off": (has_flags("broken_off"), ends_as(CallOutcome.CALL_DROPPED)),
    "PII-heavy": (
        has_flags("pii_heavy"),
        lambda c: len({span.type for span in c.expected.pii_spans}) >= 6,
    ),
    "agent who forgets a disclosure": (
        has_flags("missing_disclosure"),
        lambda c: not has_flags("agent_misconduct")(c),
    ),
    "borderline": (lambda c: c.expected.scenario.startswith("borderline"),),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_dev_data_covers_the_scenario(scenario: str) -> None:
    signs = SCENARIOS[scenario]

    covering = [c.folder.name for c in everything() if all(sign(c) for sign in signs)]

    assert covering != []


def test_there_are_24_conversations_of_one_day() -> None:
    days = Counter(folder.parent.name for folder in FOLDERS)

    assert days == {"2025-12-28": 24}


def test_no_two_conversations_open_alike() -> None:
    openings = Counter(re.sub(r"\W+", " ", c.texts[0]).strip().lower() for c in everything())

    assert [text for text, count in openings.items() if count > 1] == []


def test_no_long_sentence_is_said_in_two_conversations() -> None:
    heard_in = defaultdict(set)
    for conversation in everything():
        for text in conversation.texts:
            for sentence in re.split(r"[.?!]+\s", text):
                words = tuple(re.findall(r"\w+", sentence.lower()))
                if len(words) >= 9:
                    heard_in[words].add(conversation.folder.name)

    assert [words for words, folders in heard_in.items() if len(folders) > 1] == []


def test_an_agent_keeps_name_team_and_site() -> None:
    seen = defaultdict(set)
    for metadata in (c.metadata for c in everything()):
        seen[metadata.agent_id].add((metadata.agent_name, metadata.agent_team, metadata.agent_site))

    assert {agent: facts for agent, facts in seen.items() if len(facts) > 1} == {}


def test_only_the_supervisor_transfer_tells_two_agents_apart() -> None:
    agents_by_scenario = {
        c.expected.scenario: {t.participant_id for t in c.transcription.turns} - {None}
        for c in everything()
    }

    told_apart = {name: agents for name, agents in agents_by_scenario.items() if agents}

    assert told_apart == {"supervisor_transfer": {"AGT-1077", "AGT-1004"}}
