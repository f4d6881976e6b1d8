from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ingest.domain.as_code import ChangeKind, FieldChange
from ingest.domain.scorecards import (
    FILES,
    LiveRevision,
    LiveScorecard,
    RevisionState,
    Scorecard,
    ScorecardChange,
    deployed_of_ours,
    is_marked,
    parse_scorecards,
    plan,
    unmarked,
)
from ingest.errors import InputError

SEEDS = Path(__file__).parents[3] / "seeds"
TEXTS = tuple((SEEDS / name).read_text(encoding="utf-8") for name in FILES)
(CARD,) = parse_scorecards(*TEXTS)
FIRST = CARD.questions[0]
ASKED_OTHERWISE = replace(
    CARD, questions=(replace(FIRST, body="Was recording named?"), *CARD.questions[2:])
)


def revision(of: Scorecard, *, deployed: bool = True, **changes: object) -> LiveRevision:
    made = LiveRevision(
        of.scorecard_id, of.revision_id, RevisionState.READY, deployed, True, of.marked_description
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def live(of: Scorecard, *revisions: LiveRevision) -> LiveScorecard:
    return LiveScorecard(
        of.scorecard_id, of.display_name, of.marked_description, revisions, of.questions
    )


def change(kind: ChangeKind, is_deployed: bool, **parts: object) -> ScorecardChange:
    made = ScorecardChange(kind, "call-quality", CARD, CARD.revision_id, is_deployed)
    return replace(made, **parts)  # type: ignore[arg-type]


def test_the_seeds_are_read_whole() -> None:
    assert [(q.order, q.question_id, [str(a) for a in q.answers]) for q in CARD.questions] == [
        (1, "recording-notice", ["Yes (1)", "No (0)", "na (not counted)"]),
        (2, "identity-check", ["Yes (2)", "No (0)", "na (not counted)"]),
        (3, "no-threats", ["Yes (3)", "No (0)"]),
        (4, "empathy-shown", ["Yes (2)", "No (0)"]),
        (5, "hardship-help", ["Yes (2)", "No (0)", "na (not counted)"]),
    ]
    assert CARD.questions[2].tags == ("COMPLIANCE", "CUSTOMER")


def test_a_description_with_our_mark_is_ours_and_reads_as_before_without_it() -> None:
    assert is_marked(CARD.marked_description)
    assert unmarked(CARD.marked_description) == CARD.description
    assert not is_marked(CARD.description)


def test_a_revision_is_named_by_its_questions_alone() -> None:
    renamed = replace(CARD, display_name="Other", description="Other")

    assert renamed.revision_id == CARD.revision_id
    assert ASKED_OTHERWISE.revision_id != CARD.revision_id
    assert CARD.revision_id.startswith("coach-")
    assert len(CARD.revision_id) == 22


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ([], change(ChangeKind.CREATE, False, added=tuple(q.question_id for q in CARD.questions))),
        ([live(CARD, revision(CARD))], change(ChangeKind.KEEP, True)),
        ([live(CARD, revision(CARD, deployed=False))], change(ChangeKind.KEEP, False)),
        (
            [live(CARD, revision(CARD, state=RevisionState.EDITABLE, deployed=False))],
            change(ChangeKind.UPDATE, False),
        ),
        (
            [replace(live(CARD, revision(CARD)), display_name="Old")],
            change(
                ChangeKind.UPDATE,
                True,
                changed=(FieldChange("", "display_name", "Old", "Call quality"),),
            ),
        ),
        (
            [live(ASKED_OTHERWISE, revision(ASKED_OTHERWISE))],
            change(
                ChangeKind.UPDATE,
                False,
                added=("identity-check",),
                changed=(
                    FieldChange(
                        "recording-notice", "question_body", "Was recording named?", FIRST.body
                    ),
                ),
            ),
        ),
    ],
    ids=["new", "equal", "undeployed", "untuned", "renamed", "other questions"],
)
def test_the_plan_makes_insights_equal_to_the_seeds(
    held: list[LiveScorecard], expected: ScorecardChange
) -> None:
    assert plan([CARD], held) == (expected,)
    assert expected.is_drift is (expected != change(ChangeKind.KEEP, True))


def test_ours_that_no_seed_defines_goes_and_those_of_others_stay() -> None:
    theirs = replace(live(CARD, revision(CARD)), scorecard_id="theirs", description="Not ours")
    old = replace(live(CARD, revision(CARD)), scorecard_id="old-one", questions=(FIRST,))

    assert plan([], [theirs, old]) == (
        ScorecardChange(
            ChangeKind.DELETE, "old-one", None, None, False, removed=("recording-notice",)
        ),
    )


def test_an_id_that_others_have_taken_is_refused() -> None:
    with pytest.raises(InputError, match="others made the scorecard 'call-quality'"):
        plan([CARD], [replace(live(CARD), description="Not ours")])


def test_only_deployed_revisions_of_ours_are_asked_for() -> None:
    theirs = revision(CARD, scorecard_id="theirs", description="Not ours")
    idle = revision(CARD, revision_id="coach-old", deployed=False)

    found = deployed_of_ours([revision(CARD), theirs, idle])

    assert found == {f"call-quality/{CARD.revision_id}"}


@pytest.mark.parametrize(
    ("file", "before", "after", "message"),
    [
        (0, "call-quality,C", "x,C", "names call-quality/recording-notice|names call-quality"),
        (0, "scorecard_id", "id", "scorecards.csv lacks the columns scorecard_id"),
        (1, "quality,1,recording-notice", "quality,1,R!", "names call-quality/recording-notice"),
        (1, "quality,1,", "quality,first,", "question 'recording-notice' of 'call-quality': "),
        (1, "quality,2,identity-check", "quality,2,recording-notice", "recording-notice twice"),
        (1, "Did the agent check who the customer is?", " ", "has no question_body"),
        (2, "recording-notice,no", "recording-notice,yes", "recording-notice/yes twice"),
        (2, "recording-notice,no,text", "recording-notice,no,txt", "'txt' is not a valid"),
        (2, "no,text,No,0", "no,text,No,none", "could not convert"),
        (2, "empathy-shown,no,text,No,0", "empathy-shown,no,na,,", "less than two answers"),
        (2, "no-threats,yes", "no-threats,", "an answer has no answer_key"),
    ],
)
def test_a_bad_row_is_refused_with_its_place(
    file: int, before: str, after: str, message: str
) -> None:
    texts = list(TEXTS)
    assert before in texts[file]
    texts[file] = texts[file].replace(before, after, 1)

    with pytest.raises(InputError, match=message) as caught:
        parse_scorecards(*texts)

    assert caught.value.hint
