"""Labels that people give: the CSV that they fill in, and what the truth of dev data says.

One row labels one conversation: with an answer to a question of a scorecard, or with a topic. A row
whose answer and topic are empty is one that nobody has filled in yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.domain.as_code import csv_rows
from ingest.domain.conversation import checked_id, sha256_hex
from ingest.domain.scorecards import Answer, LiveScorecard, Question
from ingest.errors import InputError

LABEL_COLUMNS = (
    "conversation_id", "scorecard_id", "revision_id", "question_id", "answer_key",
    "issue_model_id", "topic",
)  # fmt: skip
SHEET_COLUMNS = (*LABEL_COLUMNS, "question_body", "answer_keys")
"""Those of a sheet for people; the last two only tell them what is asked."""
_TRUTH_COLUMNS = ("scorecard_id", "question_id", "truth")
_LABEL_PREFIX = "coach-"
_LABEL_DIGITS = 32
_DISCLOSURES = "required_disclosures"


@dataclass(frozen=True)
class WantedLabel:
    """What one conversation is labelled with; `resource` is the name below the location."""

    conversation_id: str
    resource: str
    answer: Answer | None = None
    topic: str = ""

    @property
    def label_id(self) -> str:
        """The id in Insights: a conversation has one label of ours for a question or model."""
        what = self.resource
        if self.answer is not None:
            scorecard, _, question = what.partition("/revisions/")
            what = f"{scorecard}/{question.rpartition('/')[2]}"
        return f"{_LABEL_PREFIX}{sha256_hex(what.encode())[:_LABEL_DIGITS]}"


@dataclass(frozen=True)
class CiLabel:
    """A label as Insights holds it; `payload` is its REST JSON."""

    conversation_id: str
    name: str
    payload: Mapping[str, Any]

    @property
    def resource(self) -> str:
        """What it labels, below the location."""
        return "/".join(str(self.payload.get("labeledResource", "")).split("/")[4:])

    @property
    def answer_key(self) -> str:
        """Key of the answer, else its value; empty for a topic."""
        value: Mapping[str, Any] = self.payload.get("qaAnswerLabel", {})
        given = value.get("key") or value.get("strValue") or ("na" if "naValue" in value else "")
        return str(given or value.get("numValue", value.get("boolValue", "")))

    @property
    def topic(self) -> str:
        """The topic; empty for an answer."""
        return str(self.payload.get("label", ""))

    def says(self, wanted: WantedLabel) -> bool:
        """Return whether it says what is wanted."""
        key = wanted.answer.key if wanted.answer else ""
        return (self.resource, self.answer_key, self.topic) == (wanted.resource, key, wanted.topic)


def question_resource(scorecard_id: str, revision_id: str, question_id: str) -> str:
    """Return a question's name below the location."""
    return f"qaScorecards/{scorecard_id}/revisions/{revision_id}/qaQuestions/{question_id}"


def parse_labels(
    file: str, text: str, held: Iterable[LiveScorecard]
) -> tuple[list[WantedLabel], int]:
    """Return the labels of a CSV and how many rows aren't filled in.

    A row without a revision means the one that counts. InputError names the line of a question or
    an answer that Insights doesn't know, and of a row that says nothing usable.
    """
    cards = {card.scorecard_id: card for card in held}
    wanted: dict[tuple[str, str], WantedLabel] = {}
    empty = 0
    for number, row in enumerate(csv_rows(file, text, LABEL_COLUMNS), 2):
        if not (row["answer_key"].strip() or row["topic"].strip()):
            empty += 1
            continue
        try:
            label = _wanted(row, cards)
        except ValueError as error:
            raise InputError(
                f"{file}, line {number}: {error}",
                "`ingest labels export --template SCORECARD` writes a sheet that fits",
            ) from error
        key = (label.conversation_id, label.label_id)
        if wanted.setdefault(key, label) != label:
            raise InputError(
                f"{file}, line {number}: another row labels the same otherwise",
                "keep one of the two",
            )
    return list(wanted.values()), empty


def _wanted(row: Mapping[str, str], cards: Mapping[str, LiveScorecard]) -> WantedLabel:
    try:
        conversation_id = str(checked_id(row["conversation_id"]))
    except InputError as error:
        raise ValueError(error.message) from error
    key, topic = row["answer_key"].strip(), row["topic"].strip()
    if key and topic:
        raise ValueError("a row has an answer_key or a topic, not both")
    if topic:
        if not row["issue_model_id"]:
            raise ValueError("a topic needs an issue_model_id")
        return WantedLabel(conversation_id, f"issueModels/{row['issue_model_id']}", topic=topic)
    card = cards.get(row["scorecard_id"])
    if card is None or card.counting is None:
        raise ValueError(f"Insights has no scorecard {row['scorecard_id']!r}")
    question = _found(card.questions, row["question_id"], card.scorecard_id)
    revision = card.counting.revision_id
    if row["revision_id"]:
        if card.revision(row["revision_id"]) is None:
            raise ValueError(f"Insights has no revision {row['revision_id']!r}")
        revision = row["revision_id"]
    answer = next((each for each in question.answers if each.key == key), None)
    if answer is None:
        keys = ", ".join(each.key for each in question.answers)
        raise ValueError(f"{key!r} answers no {question.question_id}; known are {keys}")
    resource = question_resource(card.scorecard_id, revision, question.question_id)
    return WantedLabel(conversation_id, resource, answer)


def _found(questions: Iterable[Question], question_id: str, scorecard_id: str) -> Question:
    for question in questions:
        if question.question_id == question_id:
            return question
    raise ValueError(f"the scorecard {scorecard_id!r} has no question {question_id!r}")


def label_cells(labels: Iterable[CiLabel]) -> list[tuple[str, ...]]:
    """Return the rows of LABEL_COLUMNS that stand for held labels."""
    rows = []
    for label in labels:
        parts = dict(zip(*[iter(label.resource.split("/"))] * 2, strict=False))
        rows.append(
            (
                label.conversation_id,
                parts.get("qaScorecards", ""),
                parts.get("revisions", ""),
                parts.get("qaQuestions", ""),
                label.answer_key,
                parts.get("issueModels", ""),
                label.topic,
            )
        )
    return sorted(rows)


def sheet_cells(
    conversation_ids: Iterable[str],
    card: LiveScorecard,
    answer: Callable[[str, Question], str] = lambda *_: "",
) -> list[tuple[str, ...]]:
    """Return the rows of a sheet for people: each question for each conversation."""
    revision = card.counting.revision_id if card.counting else ""
    return [
        (
            *(conversation_id, card.scorecard_id, revision, question.question_id),
            *(answer(conversation_id, question), "", ""),
            *(question.body, "|".join(each.key for each in question.answers)),
        )
        for conversation_id in conversation_ids
        for question in card.questions
    ]


def truth_rules(questions_csv: str) -> dict[tuple[str, str], str]:
    """Return what tells the truth of each question: the column `truth`, where it has one."""
    file = "scorecard_questions.csv"
    rules = {
        (row["scorecard_id"], row["question_id"]): row["truth"]
        for row in csv_rows(file, questions_csv, _TRUTH_COLUMNS)
        if row["truth"]
    }
    for (_, question_id), rule in rules.items():
        if rule.partition(":")[0] not in _RULES:
            raise InputError(
                f"{file}: question {question_id!r} has the truth {rule!r}",
                f"use one of {', '.join(f'{name}:…' for name in _RULES)}",
            )
    return rules


def true_answer(rule: str, truth: Mapping[str, Any]) -> str:
    """Return the key of the answer that an expected.json gives by a rule: yes, no or na.

    `said:GROUP` asks whether a required disclosure was said, and is na where none was required;
    `ever:MATCHER` and `never:MATCHER` ask for any phrase of a matcher, in whatever words.
    """
    name, _, what = rule.partition(":")
    return _RULES[name](truth, what)


def _said(truth: Mapping[str, Any], group: str) -> str:
    if group in truth.get("missing_disclosures", ()):
        return "no"
    return "yes" if ("group", group) in _matched(truth, _DISCLOSURES) else "na"


def _ever(truth: Mapping[str, Any], matcher: str) -> str:
    return "yes" if _matched(truth, matcher) else "no"


def _never(truth: Mapping[str, Any], matcher: str) -> str:
    return "no" if _matched(truth, matcher) else "yes"


def _matched(truth: Mapping[str, Any], matcher: str) -> Sequence[tuple[str, str]]:
    found = truth.get("phrase_matches", ())
    return [("group", each["group"]) for each in found if each["matcher"] == matcher]


_RULES: dict[str, Callable[[Mapping[str, Any], str], str]] = {
    "said": _said,
    "ever": _ever,
    "never": _never,
}
