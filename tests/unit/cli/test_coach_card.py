"""The card of a conversation: misses before strengths, each with its evidence, in 80 columns."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, replace

import pytest

from ingest.cli._console import width_of
from ingest.cli.coach import text_of
from ingest.errors import InputError
from ingest.flows.coach import Check, JudgedConversation, read_checks
from ingest.ports.inspect import TableSummary
from tests.unit.flows.warehouse_fake import FakeWarehouse

MISS = Check(
    check_id="vulnerability_met",
    dimension="care",
    severity="high",
    policy="conduct",
    policy_version=2,
    verdict="fail",
    advice="Acknowledge it.",
    quote="lost my\x1b job",
    turn_index=6,
    start_char=4,
    end_char=16,
    searched_from_turn=6,
    searched_to_turn=8,
    measured_value=None,
)
BARE = replace(MISS, quote=None, turn_index=None, start_char=None, end_char=None)
ABSENT = replace(BARE, check_id="empathy_said", severity="low", searched_from_turn=0)
SHARE = replace(
    BARE,
    check_id="talk_share",
    verdict="pass",
    measured_value=0.5,
    searched_from_turn=None,
    searched_to_turn=None,
)
UNJUDGED = replace(
    BARE,
    check_id="fall_met",
    verdict="not_applicable",
    searched_from_turn=None,
    searched_to_turn=None,
)
DAY = dt.date(2025, 12, 28)


def test_the_card_has_misses_first_each_with_its_evidence() -> None:
    judged = JudgedConversation("c1", DAY, "a1", (SHARE, UNJUDGED, MISS, ABSENT))

    assert text_of(judged, 80) == (
        "c1 2025-12-28 a1\n"
        "\nMisses\n"
        "  vulnerability_met (care, high; conduct v2)\n"
        "    turn 6, 4-16: «lost my? job»\n"
        "    Next: Acknowledge it.\n"
        "  empathy_said (care, low; conduct v2)\n"
        "    not said in turns 0 to 8\n"
        "    Next: Acknowledge it.\n"
        "\nStrengths\n"
        "  talk_share (care, high; conduct v2)\n"
        "    measured: 0.5\n"
        "\nNot judged\n"
        "  fall_met (care, high; conduct v2)"
    )


def test_no_line_is_wider_than_the_terminal() -> None:
    long = replace(MISS, quote="word " * 60)

    text = text_of(JudgedConversation("c1", DAY, None, (long,)), 80)
    assert max(width_of(line) for line in text.split("\n")) <= 80


def test_what_was_never_built_and_what_was_not_due_is_said_with_its_cure() -> None:
    with pytest.raises(InputError, match="never built"):
        read_checks(FakeWarehouse(), "c1")

    empty = FakeWarehouse(listed=(TableSummary("coach", "coaching_checks", "TABLE"),))
    with pytest.raises(InputError, match="no check was due for conversation c1"):
        read_checks(empty, "c1")


def test_the_rows_of_the_mart_become_the_checks_in_their_order() -> None:
    place = {"batch_date": DAY, "agent_id": "a1"}
    warehouse = FakeWarehouse(
        answer=lambda _: [place | asdict(MISS), place | asdict(SHARE)],
        listed=(TableSummary("coach", "coaching_checks", "TABLE"),),
    )

    assert read_checks(warehouse, "c1") == JudgedConversation("c1", DAY, "a1", (MISS, SHARE))
    assert warehouse.ran[0][1] == {"conversation_id": "c1"}
