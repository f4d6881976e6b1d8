from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.domain.labels import (
    LABEL_COLUMNS,
    SHEET_COLUMNS,
    CiLabel,
    WantedLabel,
    label_cells,
    parse_labels,
    question_resource,
    sheet_cells,
    true_answer,
    truth_rules,
)
from ingest.domain.scorecards import (
    FILES,
    LiveRevision,
    LiveScorecard,
    RevisionState,
    parse_scorecards,
)
from ingest.errors import InputError

SEEDS = Path(__file__).parents[3] / "seeds"
TEXTS = [(SEEDS / name).read_text(encoding="utf-8") for name in FILES]
(CARD,) = parse_scorecards(*TEXTS)
HELD = LiveScorecard(
    "call-quality",
    "",
    "",
    tuple(
        LiveRevision("call-quality", id_, RevisionState.READY, id_ == "new", id_ == "new", "")
        for id_ in ("old", "new")
    ),
    CARD.questions,
)
ID = "317675af-a8f1-49fc-8481-dcefa6dc849e"
PARENT = "projects/1/locations/us-central1"
YES = CARD.questions[0].answers[0]


def sheet(*rows: str) -> str:
    return "\n".join((",".join(LABEL_COLUMNS), *rows)) + "\n"


def resource(revision: str, question: str = "recording-notice") -> str:
    return question_resource("call-quality", revision, question)


def test_rows_become_labels_of_the_revision_that_counts_unless_they_name_another() -> None:
    text = sheet(
        f"{ID},call-quality,,recording-notice,yes,,",
        f"{ID},call-quality,old,identity-check,no,,",
        f"{ID},call-quality,,no-threats,,,",
        f"{ID},,,,,7,Hardship",
    )

    labels, empty = parse_labels("l.csv", text, [HELD])

    assert labels == [
        WantedLabel(ID, resource("new"), YES),
        WantedLabel(ID, resource("old", "identity-check"), CARD.questions[1].answers[1]),
        WantedLabel(ID, "issueModels/7", topic="Hardship"),
    ]
    assert empty == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("X!,call-quality,,recording-notice,yes,,", "is not a conversation id"),
        (f"{ID},theirs,,recording-notice,yes,,", "no scorecard 'theirs'"),
        (f"{ID},call-quality,gone,recording-notice,yes,,", "no revision 'gone'"),
        (f"{ID},call-quality,,mood,yes,,", "no question 'mood'"),
        (f"{ID},call-quality,,recording-notice,maybe,,", "known are yes, no, na"),
        (f"{ID},call-quality,,recording-notice,yes,7,Hardship", "not both"),
        (f"{ID},,,,,,Hardship", "needs an issue_model_id"),
        (f"{ID},call-quality,,identity-check,no,,", "labels the same otherwise"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(row: str, message: str) -> None:
    text = sheet(f"{ID},call-quality,,identity-check,yes,,", row)

    with pytest.raises(InputError, match=f"l.csv, line 3: .*{message}"):
        parse_labels("l.csv", text, [HELD])


def test_a_question_has_one_label_whichever_revision_it_is_given_on() -> None:
    old, new = (WantedLabel(ID, resource(revision), YES) for revision in ("old", "new"))
    other = WantedLabel(ID, resource("new", "identity-check"), YES)

    assert old.label_id == new.label_id != other.label_id
    assert len(new.label_id) == 38


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"key": "yes", "strValue": "Yes"}, "yes"),
        ({"strValue": "Yes"}, "Yes"),
        ({"numValue": 3.5}, "3.5"),
        ({"boolValue": True}, "True"),
        ({"naValue": True}, "na"),
        ({}, ""),
    ],
)
def test_what_a_label_answers_is_its_key_else_its_value(
    value: dict[str, object], expected: str
) -> None:
    label = CiLabel(ID, "n", {"labeledResource": f"{PARENT}/x", "qaAnswerLabel": value})

    assert label.answer_key == expected


def test_what_is_exported_can_be_imported() -> None:
    wanted = [
        WantedLabel(ID, resource("new"), YES),
        WantedLabel(ID, "issueModels/7", topic="Hardship"),
    ]
    held = [
        CiLabel(
            ID,
            "1",
            {"labeledResource": f"{PARENT}/{resource('new')}", "qaAnswerLabel": {"key": "yes"}},
        ),
        CiLabel(ID, "2", {"labeledResource": f"{PARENT}/issueModels/7", "label": "Hardship"}),
    ]
    text = sheet(*(",".join(cells) for cells in reversed(label_cells(held))))

    assert parse_labels("l.csv", text, [HELD])[0] == wanted
    assert [label.says(each) for label, each in zip(held, wanted, strict=True)] == [True, True]
    assert not held[0].says(replace(wanted[0], answer=YES.__class__("no", YES.type, "No", 0.0)))


def test_a_sheet_asks_every_question_and_counts_as_not_filled_in() -> None:
    rows = sheet_cells([ID], HELD)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([SHEET_COLUMNS, *rows])

    assert parse_labels("s.csv", text.getvalue(), [HELD]) == ([], 5)
    assert rows[0] == (
        *(ID, "call-quality", "new", "recording-notice", "", "", ""),
        *("Did the agent say that the call is recorded?", "yes|no|na"),
    )


TRUTH = {
    "missing_disclosures": ["identity_check"],
    "phrase_matches": [
        {"matcher": "required_disclosures", "group": "call_recording"},
        {"matcher": "empathy_indicators", "group": "support"},
    ],
}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("said:call_recording", "yes"),
        ("said:identity_check", "no"),
        ("said:collection_purpose", "na"),
        ("ever:empathy_indicators", "yes"),
        ("ever:escalation_triggers", "no"),
        ("never:compliance_violations", "yes"),
        ("never:empathy_indicators", "no"),
    ],
)
def test_the_truth_of_dev_data_answers_by_rule(rule: str, expected: str) -> None:
    assert true_answer(rule, TRUTH) == expected


def test_the_rules_stand_in_the_seed_and_an_unknown_one_is_refused() -> None:
    assert truth_rules(TEXTS[1]) == {
        ("call-quality", "recording-notice"): "said:call_recording",
        ("call-quality", "identity-check"): "said:identity_check",
        ("call-quality", "no-threats"): "never:compliance_violations",
        ("call-quality", "empathy-shown"): "ever:empathy_indicators",
    }
    with pytest.raises(InputError, match="has the truth 'felt:empathy_indicators'"):
        truth_rules(TEXTS[1].replace("ever:empathy", "felt:empathy"))
