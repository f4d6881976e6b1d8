"""Answers by a rubric, and the arithmetic of scores."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from emulator_cases import create, own_emulator
from google.cloud import contact_center_insights_v1 as insights
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.matchers import Role
from ingest.emulator import protos
from ingest.emulator.analysis.turns import Turn
from ingest.emulator.qa_results import add_up, answer_question, scored
from ingest.emulator.qa_rubric import Call, Condition, Rubric, read_rubric
from ingest.emulator.testing import ObjectServer
from ingest.errors import InputError

CHOICES: list[dict[str, Any]] = [
    {"key": "yes", "str_value": "Yes", "score": 4},
    {"key": "partly", "str_value": "Partly", "score": 1},
    {"key": "no", "str_value": "No", "score": 0},
    {"key": "na", "na_value": True},
]
RUBRIC = """
questions:
  - question: Identity
    answers:
      - {key: "yes", when: {said: [date of birth], by: AGENT, within: 2}}
      - {key: "no"}
  - question: Hardship
    answers:
      - {key: "partly", when: {all: [{matcher: hardship}, {sentiment_at_most: 0}]}}
"""


def turns(*said: tuple[Role, str]) -> list[Turn]:
    return [Turn(index, text, role, 1) for index, (role, text) in enumerate(said)]


CALL = Call(
    turns((Role.HUMAN_AGENT, "Hello, welcome."), (Role.END_USER, "I am sorry to call.")),
    frozenset({"greeting"}),
    -0.5,
)


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({"said": ["hello", "hi"]}, True),
        ({"said": ["hello"], "by": "CUSTOMER"}, False),
        ({"said": ["sorry"], "by": "CUSTOMER", "within": 1}, False),
        ({"said": ["sorry"], "by": "CUSTOMER", "within": 2}, True),
        ({"before": [{"said": ["welcome"]}, {"said": ["sorry"]}]}, True),
        ({"before": [{"said": ["sorry"]}, {"said": ["welcome"]}]}, False),
        ({"before": [{"said": ["sorry"]}, {"said": ["goodbye"]}]}, False),
        ({"matcher": "greeting"}, True),
        ({"matcher": "hardship"}, False),
        ({"sentiment_at_least": -0.5}, True),
        ({"sentiment_at_least": 0}, False),
        ({"sentiment_at_most": -0.6}, False),
        ({"all": [{"matcher": "greeting"}, {"sentiment_at_most": 0}]}, True),
        ({"any": [{"matcher": "hardship"}, {"sentiment_at_least": 0}]}, False),
        ({"none": [{"matcher": "hardship"}]}, True),
        ({"none": [{"matcher": "greeting"}]}, False),
    ],
)
def test_a_rule_holds_of_a_call_or_not(rule: dict[str, Any], holds: bool) -> None:
    assert Condition.model_validate(rule).holds(CALL) is holds


def test_sentiment_that_nobody_analysed_is_neither_high_nor_low() -> None:
    call = CALL.__class__(CALL.turns, CALL.matchers, None)
    rules = [{"sentiment_at_least": -1}, {"sentiment_at_most": 1}]
    assert [Condition.model_validate(rule).holds(call) for rule in rules] == [False, False]


@pytest.mark.parametrize(
    "text",
    [
        "questions: [{question: q, answers: []}]",
        "questions: [{question: q, answers: [{key: a, when: {}}]}]",
        "questions: [{question: q, answers: [{key: a, when: {matcher: m, said: [s]}}]}]",
        "questions: [{question: q, answers: [{key: a, when: {matcher: m, by: AGENT}}]}]",
        "questions: [{question: q, answers: [{key: a, when: {nonsense: m}}]}]",
        "questions: [{question: q, answers: [{key: a, when: {before: [{matcher: a}]}}]}]",
        "[",
    ],
)
def test_a_rubric_that_can_not_be_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rubric.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="rubric"):
        read_rubric(path)


def test_a_question_that_no_rubric_names_is_not_applicable() -> None:
    question = insights.QaQuestion.pb(insights.QaQuestion(abbreviation="A", answer_choices=CHOICES))
    value = scored(question, Rubric().key(question, CALL))
    assert value == protos.AnswerValue(key="na", na_value=True)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
    st.integers(0, 4),
)
def test_a_score_is_the_choice_and_its_potential_the_best(scores: list[int], chosen: int) -> None:
    choices = [{"key": str(n), "num_value": n, "score": score} for n, score in enumerate(scores)]
    plain = insights.QaQuestion.pb(insights.QaQuestion(answer_choices=choices))
    value = scored(plain, str(chosen))
    if chosen >= len(scores):
        assert value == protos.AnswerValue(na_value=True)
        return
    assert (value.score, value.potential_score) == (scores[chosen], max(scores))
    assert value.HasField("normalized_score") == (max(scores) > 0)
    if max(scores):
        assert value.normalized_score == scores[chosen] / max(scores)


def _random_scorecard(rng: random.Random) -> tuple[list[Any], list[tuple[str | None, Any]]]:
    """Return questions, and for each the machine's key and a person's answer or none."""
    questions, given = [], []
    for number in range(rng.randint(1, 6)):
        choices: list[dict[str, Any]] = [
            {"key": f"k{n}", "str_value": f"v{n}", "score": rng.choice([0, 0.5, 1, 2.25, 5])}
            for n in range(rng.randint(1, 4))
        ]
        if rng.random() < 0.5:
            choices.append({"key": "na", "na_value": True})
        tags = rng.sample(["BUSINESS", "COMPLIANCE", "CUSTOMER"], rng.randint(0, 3))
        question = insights.QaQuestion(
            name=f"q{number}", answer_choices=choices, tags=tags, question_body=f"{number}?"
        )
        keys = [choice["key"] for choice in choices]
        person = rng.choice(keys) if rng.random() < 0.3 else None
        questions.append(insights.QaQuestion.pb(question))
        given.append((rng.choice([*keys, None, "unknown"]), person))
    return questions, given


def _points(question: Any, key: str | None) -> tuple[Fraction, Fraction]:
    """Return points and possible points, worked out apart from the code; (0, 0) for N/A."""
    counted = {c.key: Fraction(c.score) for c in question.answer_choices if not c.na_value}
    if key not in counted:
        return Fraction(0), Fraction(0)
    return counted[key], max(counted.values())


def test_scores_of_ten_thousand_scorecards_add_up() -> None:
    rng = random.Random(21)
    wrong = []
    for number in range(10_000):
        questions, given = _random_scorecard(rng)
        result = protos.message_class("QaScorecardResult")()
        for question, (key, person) in zip(questions, given, strict=True):
            answer = result.qa_answers.add(qa_question=question.name, tags=question.tags)
            edit = None if person is None else protos.AnswerValue(key=person)
            answer_question(answer, question, key, edit)
        add_up(result)
        final = [key if person is None else person for key, person in given]
        machine = [key for key, _ in given]
        told = [(result, final), (result.score_sources[0], machine)]
        if len(result.score_sources) > 1:
            told.append((result.score_sources[1], final))
        for part, keys in told:
            points = [_points(q, key) for q, key in zip(questions, keys, strict=True)]
            tagged = {
                tag: [p for q, p in zip(questions, points, strict=True) if tag in q.tags]
                for question in questions
                for tag in question.tags
            }
            expected = {"": points, **tagged}
            found = {"": part, **{each.tag: each for each in part.qa_tag_results}}
            if found.keys() != expected.keys() or any(
                not _adds_up(found[tag], expected[tag]) for tag in expected
            ):
                wrong.append(number)
        if (len(result.score_sources) > 1) is all(person is None for _, person in given):
            wrong.append(number)

    assert wrong == []


def _adds_up(part: Any, points: list[tuple[Fraction, Fraction]]) -> bool:
    score, possible = (sum(each[place] for each in points) for place in (0, 1))
    share = float(score / possible) if possible else 0.0
    return (part.score, part.potential_score) == (score, possible) and math.isclose(
        part.normalized_score, share
    )


def test_an_analysis_is_scored_and_people_have_the_last_word(
    tmp_path: Path, ci_objects: ObjectServer
) -> None:
    path = tmp_path / "rubric.yaml"
    path.write_text(RUBRIC)
    with own_emulator(tmp_path / "data", ci_objects, qa_rubric=path) as emulator:
        client, parent = emulator.client, emulator.parent
        card = client.create_qa_scorecard(
            {"parent": parent, "qa_scorecard_id": "card", "qa_scorecard": {}}
        )
        revision = f"{card.name}/revisions/latest"
        asked = {
            name: client.create_qa_question(
                parent=revision,
                qa_question={"abbreviation": name, "answer_choices": CHOICES, "tags": [name]},
            )
            for name in ("Identity", "Hardship", "Unknown")
        }
        client.tune_qa_scorecard_revision({"parent": revision}).result(timeout=10)
        group = {"type_": "ANY_OF", "phrase_match_rules": [{"query": "lost my job"}]}
        client.create_phrase_matcher(
            parent=parent,
            phrase_matcher=insights.PhraseMatcher(
                display_name="hardship", type_="ANY_OF", active=True,
                phrase_match_rule_groups=[group],
            ),
        )  # fmt: skip
        name = create(emulator, ci_objects, "scored").name

        def analysed() -> Any:
            analysis = client.create_analysis(parent=name, analysis=insights.Analysis())
            return analysis.result(timeout=10).analysis_result.call_analysis_metadata

        assert not analysed().qa_scorecard_results
        client.deploy_qa_scorecard_revision({"name": revision})
        (first,) = analysed().qa_scorecard_results
        label = {
            "labeled_resource": asked["Hardship"].name,
            "qa_answer_label": {"str_value": "Yes"},
        }
        client.create_feedback_label(parent=name, feedback_label=label)
        (second,) = analysed().qa_scorecard_results
        latest = client.get_conversation(name=name).latest_analysis.analysis_result
    keys = [[a.answer_value.key for a in each.qa_answers] for each in (first, second)]
    assert keys == [["yes", "partly", "na"], ["yes", "yes", "na"]]
    assert (first.score, first.potential_score, first.normalized_score) == (5, 8, 0.625)
    assert (second.score, second.potential_score, second.normalized_score) == (8, 8, 1)
    tags = [(tag.tag, tag.score, tag.potential_score) for tag in first.qa_tag_results]
    assert tags == [("Identity", 4, 4), ("Hardship", 1, 4), ("Unknown", 0, 0)]
    sources = [[(s.source_type.name, s.score) for s in r.score_sources] for r in (first, second)]
    assert sources == [
        [("SYSTEM_GENERATED_ONLY", 5)],
        [("SYSTEM_GENERATED_ONLY", 5), ("INCLUDES_MANUAL_EDITS", 8)],
    ]
    answers = second.qa_answers[1].answer_sources
    assert [(a.source_type.name, a.answer_value.key) for a in answers] == [
        ("SYSTEM_GENERATED", "partly"),
        ("MANUAL_EDIT", "yes"),
    ]
    assert list(latest.call_analysis_metadata.qa_scorecard_results) == [second]
