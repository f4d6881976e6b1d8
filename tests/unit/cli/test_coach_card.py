"""Cards, queue and weeks in the terminal: misses before strengths, evidence inline, 80 columns."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.cli import app
from ingest.cli._console import width_of
from ingest.cli.coach import text_of, text_of_queue, text_of_weeks
from ingest.errors import InputError
from ingest.flows.coach import (
    AgentWeek,
    Card,
    Check,
    DimensionOfWeek,
    MissOfWeek,
    Moment,
    QueuedCall,
    read_agent,
    read_card,
    read_queue,
    record_coaching,
)
from ingest.ports.inspect import TableSummary
from tests.unit.flows.warehouse_fake import FakeWarehouse

MISS = Check(
    check_id="vulnerability_met",
    dimension="care",
    rule="said_after_cue_turns",
    severity="high",
    policy="conduct",
    policy_version=2,
    rule_sha256="a" * 64,
    verdict="fail",
    advice="Acknowledge it.",
    quote="lost my\x1b job",
    turn_index=6,
    start_char=4,
    end_char=16,
    searched_from_turn=6,
    searched_to_turn=8,
    measured_value=None,
    qa_answer=None,
    limit_value=2,
)
BARE = replace(MISS, quote=None, turn_index=None, start_char=None, end_char=None)
ABSENT = replace(BARE, check_id="empathy_said", severity="low", searched_from_turn=0)
UNSEARCHED = replace(BARE, searched_from_turn=None, searched_to_turn=None)
SHARE = replace(
    UNSEARCHED, check_id="talk_share", verdict="pass", measured_value=0.5, limit_value=0.7
)
SCORE = replace(SHARE, check_id="scored", measured_value=0.5, qa_answer="partly", limit_value=0.3)
UNJUDGED = replace(UNSEARCHED, check_id="fall_met", verdict="not_applicable")
SAID = replace(
    MISS, check_id="notice", verdict="pass", searched_from_turn=None, searched_to_turn=None
)
DAY = dt.date(2025, 12, 28)
CARD = Card(
    conversation_id="c1",
    conversation_version_id="v1",
    analysis_id="7",
    agent_id="a1",
    call_date=DAY,
    summary="outbound call.",
    score=0.5,
    confidence=0.91,
    worst_severity="high",
    rubric_sha256="b" * 64,
    judgement_sha256="c" * 64,
    annotator_profile_sha256=None,
    moments=(
        Moment("miss", "vulnerability_met", 6, 4, 16, "lost my\x1b job"),
        Moment("lowest_mood", None, 9, 0, 2, "No"),
    ),
    next_actions=("Acknowledge it.",),
    checks=(MISS, SHARE, UNJUDGED, ABSENT, SAID, SCORE),
)
CALL = QueuedCall(1, "coach", "c1", "a1", DAY, 9, ("worst miss is high", "new"), "outbound call.")
WEEK = AgentWeek(
    agent_id="a1",
    week_start=DAY,
    conversation_count=2,
    exemplary_count=1,
    score=0.5,
    score_change=-0.25,
    coached_on=dt.date(2025, 12, 20),
    score_change_since_coaching=0.125,
    best_conversation_id="c2",
    dimensions=(DimensionOfWeek("care", 3, 0.5, None),),
    top_misses=(MissOfWeek("notice", 1, "c1"),),
)
BUILT = tuple(
    TableSummary("coach", name, "TABLE")
    for name in ("agent_weekly", "coaching_cards", "coaching_checks", "coaching_queue")
)


def test_the_card_has_misses_first_each_with_its_evidence() -> None:
    assert text_of(CARD, 80) == (
        "c1 2025-12-28 a1\nOutbound call.\nScore 0.50, confidence 0.91\n"
        "\nMisses\n"
        "  vulnerability_met (care, high; conduct v2)\n"
        "    turn 6, 4-16: «lost my? job»; looked for in turns 6 to 8\n"
        "  empathy_said (care, low; conduct v2)\n"
        "    not said in turns 0 to 8\n"
        "\nStrengths\n"
        "  talk_share (care, high; conduct v2)\n"
        "    measured 0.5, at most 0.7\n"
        "  notice (care, high; conduct v2)\n"
        "    turn 6, 4-16: «lost my? job»\n"
        "  scored (care, high; conduct v2)\n"
        "    answered «partly»: 50% of its points, at least 30%\n"
        "\nNot judged: fall_met\n"
        "\nMoments to hear\n"
        "  turn 6 (miss, vulnerability_met): «lost my? job»\n"
        "  turn 9 (lowest mood): «No»\n"
        "\nNext\n"
        "  1. Acknowledge it.\n"
        "\nJudged by rubric bbbbbbbbbbbb"
    )


def test_the_queue_has_calls_to_coach_by_before_those_to_show() -> None:
    shown = replace(CALL, kind="show", conversation_id="c2", agent_id=None, points=1)

    assert text_of_queue((shown, CALL), 80) == (
        "To coach by\n"
        "  1. c1 2025-12-28 a1\n"
        "     9 points: worst miss is high, new\n"
        "     Outbound call.\n"
        "\nTo show others\n"
        "  1. c2 2025-12-28\n"
        "     1 point: worst miss is high, new\n"
        "     Outbound call."
    )
    assert text_of_queue((), 80) == "nothing waits to be heard"


def test_the_weeks_of_an_agent_have_changes_misses_and_the_best_call() -> None:
    assert text_of_weeks((WEEK,), 80) == (
        "a1\n"
        "\nweek of 2025-12-28: score 0.50 (-0.25), 2 calls, 1 without a miss\n"
        "  coached on 2025-12-20, +0.12 since that week\n"
        "  care 0.50\n"
        "  missed notice in 1 call, as in c1\n"
        "  best call c2"
    )


def test_no_line_is_wider_than_the_terminal() -> None:
    long = replace(MISS, quote="word " * 60)
    card = replace(CARD, summary="word " * 60, checks=(long,), next_actions=("word " * 60,))
    texts = (
        text_of(card, 80),
        text_of_queue((replace(CALL, reasons=("word " * 60,)),), 80),
        text_of_weeks((replace(WEEK, best_conversation_id="c" * 90),), 80),
    )

    assert max(width_of(line) for text in texts for line in text.split("\n")) <= 80


def test_what_was_never_built_and_what_was_not_due_is_said_with_its_cure() -> None:
    with pytest.raises(InputError, match="never built"):
        read_card(FakeWarehouse(), "c1")

    empty = FakeWarehouse(listed=BUILT)
    with pytest.raises(InputError, match="no check was due for conversation c1"):
        read_card(empty, "c1")
    with pytest.raises(InputError, match="no judged calls of agent a1"):
        read_agent(empty, "a1", 10)


def test_the_rows_of_the_marts_become_what_is_shown() -> None:
    checks = [asdict(check) for check in CARD.checks]
    answers = {
        "coaching_cards": [asdict(CARD) | {"landed_at": None}],
        "coaching_checks": checks,
        "coaching_queue": [asdict(CALL)],
        "agent_weekly": [asdict(WEEK) | {"agent_week_id": "k"}],
    }
    warehouse = FakeWarehouse(
        answer=lambda sql: next(rows for name, rows in answers.items() if name in sql),
        listed=BUILT,
    )

    assert read_card(warehouse, "c1") == CARD
    assert read_queue(warehouse, 10) == (CALL,)
    assert read_agent(warehouse, "a1", 10) == (WEEK,)


@pytest.mark.parametrize("words", [(), ("c1", "--queue"), ("--queue", "--agent", "a1")])
def test_one_thing_is_shown_at_a_time(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["coach", *words])

    assert result.exit_code == 2
    assert "give an id, --queue, or --agent AGENT" in result.stderr


def test_a_coaching_is_noted_once(tmp_path: Path) -> None:
    held = tmp_path / "coached.csv"
    held.write_text("agent_id,conversation_id,coached_on\n", encoding="utf-8")

    assert record_coaching(tmp_path, "a,1", "c1", DAY)
    assert not record_coaching(tmp_path, "a,1", "c1", DAY)
    assert held.read_text("utf-8") == ('agent_id,conversation_id,coached_on\n"a,1",c1,2025-12-28\n')
    with pytest.raises(InputError, match="can't write"):
        record_coaching(tmp_path / "none", "a1", "c1", DAY)


@pytest.mark.parametrize("words", [("--queue", "--done"), ("c1", "--on", "2025-12-28")])
def test_what_was_done_names_a_call(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["coach", *words])

    assert result.exit_code == 2
    assert "ingest coach ID --done --on DATE" in result.stderr
