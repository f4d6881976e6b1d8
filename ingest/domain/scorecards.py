"""Scorecards as code: definitions from the seeds, and what makes Insights equal to them.

`scorecards.csv` has a row a scorecard, `scorecard_questions.csv` a row a question,
`scorecard_answers.csv` a row an answer. A scorecard in Insights is ours when its description ends
in our mark. A revision is never changed once it is tuned: its id is made from its questions, so
that the id says which questions it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ingest.domain.as_code import (
    OWNERSHIP_MARKER,
    ChangeKind,
    FieldChange,
    changed_fields,
    csv_rows,
)
from ingest.domain.conversation import json_sha256
from ingest.errors import InputError

_MARK = f" [{OWNERSHIP_MARKER}]"
_REVISION_PREFIX = "coach-"
_REVISION_DIGITS = 16
_ID = re.compile(r"[a-z0-9-]{4,64}")
FILES = ("scorecards.csv", "scorecard_questions.csv", "scorecard_answers.csv")
SCORECARD_COLUMNS = ("scorecard_id", "display_name", "description")
QUESTION_COLUMNS = (
    "scorecard_id", "question_order", "question_id", "abbreviation", "question_body",
    "answer_instructions", "tags",
)  # fmt: skip
ANSWER_COLUMNS = ("scorecard_id", "question_id", "answer_key", "value_type", "value", "score")


class ValueType(StrEnum):
    """What an answer's value is; `na` stands for one that isn't counted."""

    TEXT = "text"
    NUMBER = "number"
    BOOL = "bool"
    NA = "na"


@dataclass(frozen=True)
class Answer:
    """One answer that a question allows; `value` is as the seed writes it."""

    key: str
    type: ValueType
    value: str
    score: float | None

    def __str__(self) -> str:
        points = "not counted" if self.score is None else f"{self.score:g}"
        return f"{self.value or self.type} ({points})"


@dataclass(frozen=True)
class Question:
    """One question of a scorecard."""

    question_id: str
    order: int
    abbreviation: str
    body: str
    instructions: str
    tags: tuple[str, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Scorecard:
    """What a scorecard asks."""

    scorecard_id: str
    display_name: str
    description: str
    questions: tuple[Question, ...]

    @property
    def revision_id(self) -> str:
        """The id of the revision that has these questions."""
        content = json_sha256([_content(question) for question in self.questions])
        return f"{_REVISION_PREFIX}{content[:_REVISION_DIGITS]}"

    @property
    def marked_description(self) -> str:
        """The description that Insights gets, which says that the scorecard is ours."""
        return f"{self.description}{_MARK}"


class RevisionState(StrEnum):
    """How far a revision has come, under Insights' own names."""

    STATE_UNSPECIFIED = "STATE_UNSPECIFIED"
    EDITABLE = "EDITABLE"
    TRAINING = "TRAINING"
    READY = "READY"
    TRAINING_FAILED = "TRAINING_FAILED"
    TRAINING_CANCELLED = "TRAINING_CANCELLED"
    DELETING = "DELETING"


@dataclass(frozen=True)
class LiveRevision:
    """A revision as Insights holds it, with what its scorecard was called then."""

    scorecard_id: str
    revision_id: str
    state: RevisionState
    is_deployed: bool
    is_latest: bool
    description: str

    @property
    def key(self) -> str:
        """Scorecard and revision, which a profile names it by."""
        return f"{self.scorecard_id}/{self.revision_id}"


@dataclass(frozen=True)
class LiveScorecard:
    """A scorecard as Insights holds it; the questions are of the revision that counts."""

    scorecard_id: str
    display_name: str
    description: str
    revisions: tuple[LiveRevision, ...]
    questions: tuple[Question, ...] = ()

    @property
    def counting(self) -> LiveRevision | None:
        """The deployed revision, else the latest."""
        ranked = sorted(self.revisions, key=lambda one: (one.is_deployed, one.is_latest))
        return ranked[-1] if ranked else None

    @property
    def deployed(self) -> LiveRevision | None:
        """The revision that analyses use."""
        return next((one for one in self.revisions if one.is_deployed), None)

    def revision(self, revision_id: str) -> LiveRevision | None:
        """Return the revision of that id."""
        return next((one for one in self.revisions if one.revision_id == revision_id), None)


@dataclass(frozen=True)
class ScorecardChange:
    """One scorecard, what apply does to it, and how its questions differ from those that count."""

    kind: ChangeKind
    scorecard_id: str
    definition: Scorecard | None
    revision_id: str | None
    is_deployed: bool
    """Whether analyses use the revision that is wanted."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[FieldChange, ...] = ()

    @property
    def is_drift(self) -> bool:
        """Whether Insights differs from the seeds, in what it holds or in what it uses."""
        return self.kind is not ChangeKind.KEEP or not self.is_deployed


def is_marked(description: str) -> bool:
    """Return whether a scorecard of this description is ours."""
    return description.endswith(_MARK)


def unmarked(description: str) -> str:
    """Return a description without our mark."""
    return description.removesuffix(_MARK)


def deployed_of_ours(revisions: Iterable[LiveRevision]) -> frozenset[str]:
    """Return the keys of the revisions of our scorecards that analyses use."""
    return frozenset(
        each.key for each in revisions if each.is_deployed and is_marked(each.description)
    )


def parse_scorecards(scorecards: str, questions: str, answers: str) -> tuple[Scorecard, ...]:
    """Return what the three CSV texts define; raise InputError that names the bad row."""
    cards = csv_rows(FILES[0], scorecards, SCORECARD_COLUMNS)
    asked = csv_rows(FILES[1], questions, QUESTION_COLUMNS)
    allowed = csv_rows(FILES[2], answers, ANSWER_COLUMNS)
    _check_unique(FILES[0], cards, "scorecard_id")
    _check_unique(FILES[1], asked, "scorecard_id", "question_id")
    _check_unique(FILES[2], allowed, "scorecard_id", "question_id", "answer_key")
    _check_known(FILES[1], asked, cards, "scorecard_id")
    _check_known(FILES[2], allowed, asked, "scorecard_id", "question_id")
    return tuple(_scorecard(card, asked, allowed) for card in cards)


def plan(
    definitions: Sequence[Scorecard], live: Iterable[LiveScorecard]
) -> tuple[ScorecardChange, ...]:
    """Return what makes Insights equal to the definitions, in their order; then what goes.

    Raises InputError where others made a scorecard of the same id.
    """
    held = {one.scorecard_id: one for one in live}
    changes = [_change(wanted, held.pop(wanted.scorecard_id, None)) for wanted in definitions]
    gone = [one for _, one in sorted(held.items()) if is_marked(one.description)]
    changes += [
        ScorecardChange(
            ChangeKind.DELETE,
            one.scorecard_id,
            None,
            None,
            is_deployed=False,
            removed=tuple(question.question_id for question in one.questions),
        )
        for one in gone
    ]
    return tuple(changes)


def question_changes(before: Sequence[Question], after: Sequence[Question]) -> list[FieldChange]:
    """Return the fields that differ in the questions that both have."""
    old = {question.question_id: question for question in before}
    changes: list[FieldChange] = []
    for new in after:
        was = old.get(new.question_id)
        if was is not None:
            changes += changed_fields(
                new.question_id,
                ("order", str(was.order), str(new.order)),
                ("abbreviation", was.abbreviation, new.abbreviation),
                ("question_body", was.body, new.body),
                ("answer_instructions", was.instructions, new.instructions),
                ("tags", ";".join(was.tags), ";".join(new.tags)),
                ("answers", _answers(was), _answers(new)),
            )
    return changes


def _change(wanted: Scorecard, held: LiveScorecard | None) -> ScorecardChange:
    revision_id = wanted.revision_id
    if held is None:
        added = tuple(question.question_id for question in wanted.questions)
        return ScorecardChange(
            ChangeKind.CREATE, wanted.scorecard_id, wanted, revision_id, False, added
        )
    if not is_marked(held.description):
        raise InputError(
            f"others made the scorecard {wanted.scorecard_id!r} in Insights",
            "give yours another scorecard_id; what others made is never changed",
        )
    old = {question.question_id: question for question in held.questions}
    new = {question.question_id: question for question in wanted.questions}
    changed = changed_fields(
        "",
        ("display_name", held.display_name, wanted.display_name),
        ("description", unmarked(held.description), wanted.description),
    )
    has_same_name = not changed
    revision, deployed = held.revision(revision_id), held.deployed
    is_ready = revision is not None and revision.state is RevisionState.READY
    return ScorecardChange(
        ChangeKind.KEEP if has_same_name and is_ready else ChangeKind.UPDATE,
        wanted.scorecard_id,
        wanted,
        revision_id,
        deployed is not None and deployed.revision_id == revision_id,
        tuple(id_ for id_ in new if id_ not in old),
        tuple(id_ for id_ in old if id_ not in new),
        tuple(changed + question_changes(held.questions, wanted.questions)),
    )


def _answers(question: Question) -> str:
    return ", ".join(map(str, question.answers))


def _content(question: Question) -> Mapping[str, Any]:
    return {
        "id": question.question_id,
        "order": question.order,
        "abbreviation": question.abbreviation,
        "body": question.body,
        "instructions": question.instructions,
        "tags": list(question.tags),
        "answers": [[a.key, a.type.value, a.value, a.score] for a in question.answers],
    }


def _scorecard(
    card: dict[str, str], asked: list[dict[str, str]], allowed: list[dict[str, str]]
) -> Scorecard:
    scorecard_id = card["scorecard_id"]
    _check_id("scorecard_id", scorecard_id)
    own = [row for row in asked if row["scorecard_id"] == scorecard_id]
    if not own:
        raise InputError(f"scorecard {scorecard_id!r} has no questions", f"add rows to {FILES[1]}")
    questions = [_question(row, [a for a in allowed if _key(a, 2) == _key(row, 2)]) for row in own]
    questions.sort(key=lambda question: question.order)
    return Scorecard(scorecard_id, card["display_name"], card["description"], tuple(questions))


def _question(row: dict[str, str], answers: list[dict[str, str]]) -> Question:
    place = f"{FILES[1]}: question {row['question_id']!r} of {row['scorecard_id']!r}"
    _check_id("question_id", row["question_id"])
    try:
        order = int(row["question_order"])
        made = tuple(map(_answer, answers))
    except ValueError as error:
        raise InputError(f"{place}: {error}", "compare with the other rows") from error
    if not row["question_body"].strip():
        raise InputError(f"{place} has no question_body", "write what is asked")
    if sum(answer.score is not None for answer in made) < 2:
        raise InputError(f"{place} has less than two answers with a score", f"see {FILES[2]}")
    return Question(
        row["question_id"],
        order,
        row["abbreviation"],
        row["question_body"],
        row["answer_instructions"],
        tuple(tag for tag in row["tags"].split(";") if tag),
        made,
    )


def _answer(row: dict[str, str]) -> Answer:
    kind, key = ValueType(row["value_type"]), row["answer_key"]
    if not key:
        raise ValueError("an answer has no answer_key")
    if kind is ValueType.NA:
        return Answer(key, kind, "", None)
    if kind is ValueType.NUMBER:
        float(row["value"])
    elif kind is ValueType.BOOL and row["value"] not in ("true", "false"):
        raise ValueError(f"answer {key!r} is neither true nor false")
    elif not row["value"]:
        raise ValueError(f"answer {key!r} has no value")
    return Answer(key, kind, row["value"], float(row["score"]))


def _key(row: Mapping[str, str], count: int) -> tuple[str, ...]:
    return tuple(row[name] for name in ("scorecard_id", "question_id", "answer_key")[:count])


def _check_id(name: str, value: str) -> None:
    if not _ID.fullmatch(value):
        raise InputError(
            f"{name} {value!r} can't be an id in Insights",
            "use 4 to 64 small letters, digits and hyphens",
        )


def _check_unique(file: str, rows: list[dict[str, str]], *names: str) -> None:
    keys = [_key(row, len(names)) for row in rows]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise InputError(f"{file} has {'/'.join(twice[0])} twice", "give each one row")


def _check_known(
    file: str, rows: list[dict[str, str]], others: list[dict[str, str]], *names: str
) -> None:
    known = {_key(row, len(names)) for row in others}
    for row in rows:
        if _key(row, len(names)) not in known:
            raise InputError(
                f"{file} names {'/'.join(_key(row, len(names)))}, which no row defines",
                f"add it to {FILES[FILES.index(file) - 1]}",
            )
