"""Each dev conversation is valid, and its labels are in step with what is said.

`expected.json` is the truth that matcher precision, missing disclosures and PII findings are
measured against, so a wrong span there would look like a fault of the pipeline.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from dev_conversations import FOLDERS, SEEDS, DevConversation, load

from ingest.domain.conversation import UUID_PATTERN, Direction, Medium
from ingest.domain.matchers import parse_definitions
from ingest.domain.phrase_matching import compile_matchers, role_of_speaker
from ingest.domain.validation import check_conversation

MATCHERS = compile_matchers(
    parse_definitions(
        (SEEDS / "phrase_matchers.csv").read_text(encoding="utf-8"),
        (SEEDS / "phrase_matcher_rules.csv").read_text(encoding="utf-8"),
    )
)
DISCLOSURES = list(
    csv.DictReader((SEEDS / "required_disclosures.csv").read_text(encoding="utf-8").splitlines())
)
FICTION_NUMBER = re.compile(
    r"0491570(006|110|156|157|158|159|313|737)|0[2378](5550|7010)[0-9]{4}|"
    r"1800(160401|975(707|708|709|710|711))"
)
"""Numbers that the Australian regulator (ACMA) keeps free for fiction."""
HOURS = {Direction.INBOUND: range(7, 21), Direction.OUTBOUND: range(9, 21)}
"""Local hours of starting; at a weekend the regulators' guideline lets collectors ring 9 to 21."""


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name[:8])
def conversation(request: pytest.FixtureRequest) -> DevConversation:
    folder: Path = request.param
    return load(folder)


def digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)


def passes_luhn(number: str) -> bool:
    doubled = [int(d) * (2 if i % 2 else 1) for i, d in enumerate(reversed(number))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def test_a_folder_holds_the_three_files_written_in_one_style(conversation: DevConversation) -> None:
    files = sorted(path.name for path in conversation.folder.iterdir())

    assert files == ["expected.json", "metadata.json", "transcription.json"]
    for name in files:
        text = (conversation.folder / name).read_text(encoding="utf-8")
        assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


def test_ids_are_uuids_that_agree_with_the_folder(conversation: DevConversation) -> None:
    ids = [
        conversation.metadata.conversation_id,
        conversation.transcription.conversation_id,
        conversation.expected.conversation_id,
    ]

    assert UUID_PATTERN.fullmatch(conversation.folder.name)
    assert ids == [conversation.folder.name] * 3


def test_validation_finds_no_fault_and_no_warning(conversation: DevConversation) -> None:
    batch_date = dt.date.fromisoformat(conversation.folder.parent.name)

    faults = check_conversation(
        conversation.folder.name, batch_date, conversation.metadata, conversation.transcription
    )

    assert faults == []


def test_turns_follow_each_other_within_the_duration(conversation: DevConversation) -> None:
    turns = conversation.transcription.turns
    offsets = [turn.start_offset_sec for turn in turns]

    assert [turn.turn_index for turn in turns] == list(range(len(turns)))
    assert all(before < after for before, after in pairwise(offsets))
    assert offsets[-1] <= conversation.metadata.duration_sec
    assert offsets == [round(offset, 1) for offset in offsets]


def test_the_clock_times_fit_the_duration_and_the_day(conversation: DevConversation) -> None:
    metadata = conversation.metadata
    seconds = (metadata.ended_at - metadata.started_at).total_seconds()

    assert seconds == pytest.approx(metadata.duration_sec, abs=1e-6)
    assert metadata.started_at.date().isoformat() == conversation.folder.parent.name
    assert metadata.started_at.hour in HOURS[metadata.direction]


def test_a_call_is_spoken_at_a_human_pace(conversation: DevConversation) -> None:
    is_call = conversation.metadata.medium == Medium.PHONE_CALL
    word_count = sum(len(text.split()) for text in conversation.texts)

    words_per_minute = word_count / conversation.metadata.duration_sec * 60

    assert (90 if is_call else 5) <= words_per_minute <= (190 if is_call else 120)


def test_flags_and_next_actions_are_not_repeated(conversation: DevConversation) -> None:
    flags, actions = conversation.expected.flags, conversation.expected.next_actions

    assert len(set(flags)) == len(flags)
    assert len(set(actions)) == len(actions)


def test_phrase_matches_are_all_that_the_rules_find(conversation: DevConversation) -> None:
    found = [
        (
            matcher.definition.display_name,
            hit.group_name,
            hit.query,
            turn.turn_index,
            hit.start_char,
            hit.end_char,
        )
        for turn in conversation.transcription.turns
        for matcher in MATCHERS
        for hit in matcher.find(turn.text, role_of_speaker(turn.speaker)) or ()
    ]

    labelled = [
        (
            label.matcher,
            label.group,
            label.phrase,
            label.turn_index,
            label.start_char,
            label.end_char,
        )
        for label in conversation.expected.phrase_matches
    ]

    assert sorted(labelled) == sorted(found)


def test_a_phrase_span_shows_exactly_the_phrase(conversation: DevConversation) -> None:
    labels = conversation.expected.phrase_matches

    spoken = [
        " ".join(conversation.shown(label).replace("\u2019", "'").lower().split())
        for label in labels
    ]

    assert spoken == [label.phrase for label in labels]


def test_missing_disclosures_are_those_owed_and_never_said(conversation: DevConversation) -> None:
    outcome = conversation.metadata.call_outcome
    said = conversation.groups_hit("required_disclosures")

    owed = [
        row["disclosure"]
        for row in DISCLOSURES
        if (row["business_line"], row["direction"], row["medium"]) == conversation.lines
        and outcome not in row["exempt_call_outcomes"].split("|")
    ]

    missing = [name for name in owed if name not in said]
    assert sorted(conversation.expected.missing_disclosures) == sorted(missing)
    assert ("missing_disclosure" in conversation.flags) == bool(missing)


def test_pii_spans_are_trimmed_ordered_and_apart(conversation: DevConversation) -> None:
    spans = conversation.expected.pii_spans
    places = [(span.turn_index, span.start_char, span.end_char) for span in spans]

    shown = [conversation.shown(span) for span in spans]

    assert [text for text in shown if text != text.strip(" ,;:!?")] == []
    assert places == sorted(places)
    for (turn, _, end), (next_turn, next_start, _) in pairwise(places):
        assert turn < next_turn or end <= next_start


def test_a_labelled_detail_is_labelled_wherever_it_is_said(conversation: DevConversation) -> None:
    covered: defaultdict[int, set[int]] = defaultdict(set)
    for span in conversation.expected.pii_spans:
        covered[span.turn_index].update(range(span.start_char, span.end_char))
    details = {conversation.shown(span) for span in conversation.expected.pii_spans}

    unlabelled = [
        (turn_index, found.span())
        for detail in details
        if len(detail) > 3
        for turn_index, text in enumerate(conversation.texts)
        for found in re.finditer(rf"(?<!\w){re.escape(detail)}(?!\w)", text)
        if covered[turn_index].isdisjoint(range(*found.span()))
    ]

    assert unlabelled == []


def test_personal_details_cannot_be_real(conversation: DevConversation) -> None:
    shown = [(span.type, conversation.shown(span)) for span in conversation.expected.pii_spans]
    phones = {digits(text) for kind, text in shown if kind == "PHONE" and len(digits(text)) >= 10}
    emails = {text for kind, text in shown if kind == "EMAIL" and "@" in text}
    long_numbers = {
        digits(found.group())
        for text in conversation.texts
        for found in re.finditer(r"[0-9](?:[ -]?[0-9]){12,18}", text)
    }

    assert {phone for phone in phones if not FICTION_NUMBER.fullmatch(phone)} == set()
    assert {email for email in emails if not email.endswith(("@example.com", "@example.org"))} == (
        set()
    )
    assert {number for number in long_numbers if passes_luhn(number)} == set()
