"""Scorecards' results in analyses: answers by the rubric, people's edits, and their scores.

Scores are documented: an answer's is its choice's, a question's potential is its best choice's, a
result adds up its answers, N/A and skipped ones are left out, and edits by people win.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ingest.emulator import protos, wire
from ingest.emulator.context import Context
from ingest.emulator.errors import failed_precondition
from ingest.emulator.feedback_labels import FeedbackLabelStore
from ingest.emulator.qa_rubric import Call, Rubric
from ingest.emulator.scorecards import READY, ScorecardStore

_Result = protos.message_class("QaScorecardResult")
_Answer = protos.message_class("QaAnswer")
_Value = protos.AnswerValue
_SYSTEM, _MANUAL = 1, 2
_LEFT_OUT = (None, "na_value")
"""Kinds of answers without a score; None is that of skipped questions."""


class ScoredConversation(NamedTuple):
    """What a result says of its conversation."""

    location: str
    seq: int
    name: str
    agent_id: str


class ScorecardResults:
    """Answers the questions of scorecards about a conversation."""

    def __init__(self, context: Context, rubric: Rubric) -> None:
        self._context = context
        self._rubric = rubric
        self._store = ScorecardStore(context)
        self._labels = FeedbackLabelStore(context.database)

    def check(self, selector: protos.Pb) -> None:
        """Raise FAILED_PRECONDITION for a listed revision that isn't READY.

        One that doesn't exist finds nothing (assumed).
        """
        for name in selector.qa_config.scorecard_list.qa_scorecard_revisions:
            parts = self._store.revision_name(name, "annotator_selector")
            revision = self._store.revisions.find(parts)
            if revision is not None and revision.state != READY:
                raise failed_precondition(f"Revision '{name}' isn't READY.")

    def revisions(self, location: str, selector: protos.Pb) -> list[protos.Pb]:
        """Return the revisions that a selector asks about: those listed, or all deployed."""
        if not selector.run_qa_annotator:
            return []
        listed = selector.qa_config.scorecard_list.qa_scorecard_revisions
        if not listed:
            return list(self._store.deployed(location))
        found = (
            self._store.revisions.find(self._store.revision_name(name, "annotator_selector"))
            for name in dict.fromkeys(listed)
        )
        return [each for each in found if each is not None and each.state == READY]

    def results(
        self, conversation: ScoredConversation, revisions: Iterable[protos.Pb], call: Call
    ) -> Iterator[protos.Pb]:
        """Yield a QaScorecardResult for each revision."""
        edits = self._edits(conversation.seq)
        for revision in revisions:
            name = f"{conversation.location}/qaScorecardResults/{self._context.ids.resource()}"
            result = _Result(
                name=name,
                qa_scorecard_revision=revision.name,
                conversation=conversation.name,
                agent_id=conversation.agent_id,
                create_time=protos.timestamp(self._context.clock.now()),
            )
            for question in self._store.questions.every(self._store.revisions.name(revision.name)):
                given = self._rubric.key(question, call)
                answer = result.qa_answers.add(
                    qa_question=question.name,
                    conversation=conversation.name,
                    question_body=question.question_body,
                    tags=question.tags,
                )
                answer_question(answer, question, given, edits.get(question.name))
            add_up(result)
            yield result

    def _edits(self, conversation_seq: int) -> dict[str, protos.Pb]:
        """Return people's newest answers by question: labels are what they edit (assumed)."""
        found = self._labels.select("conversation_seq = ?", (conversation_seq,))
        return {
            label.labeled_resource: label.qa_answer_label
            for _, label in found
            if label.WhichOneof("label_type") == "qa_answer_label"
        }


def answer_question(
    answer: protos.Pb, question: protos.Pb, given: str | None, edit: protos.Pb | None
) -> None:
    """Fill in the machine's answer by key, N/A for None, and the person's, which wins."""
    value = scored(question, given)
    answer.answer_sources.add(source_type=_SYSTEM, answer_value=value)
    if edit is not None:
        value = edit if _is_skip(edit) else scored(question, _key_of(question, edit))
        answer.answer_sources.add(source_type=_MANUAL, answer_value=value)
    answer.answer_value.CopyFrom(value)


def scored(question: protos.Pb, key: str | None) -> protos.Pb:
    """Return the answer of a key with its scores; N/A for None and for an unknown key."""
    choice = next((each for each in question.answer_choices if each.key == key), None)
    if choice is None:
        choice = next((each for each in question.answer_choices if each.na_value), None)
        return _Value(na_value=True, key=choice.key if choice is not None else "")
    kind = choice.WhichOneof("value")
    value = _Value(key=choice.key, **{kind: getattr(choice, kind)})
    if kind != "na_value":
        scores = [each.score for each in question.answer_choices if not each.na_value]
        value.score, value.potential_score = choice.score, max(scores)
        if value.potential_score:
            value.normalized_score = value.score / value.potential_score
    return value


def _is_skip(edit: protos.Pb) -> bool:
    """Return whether a person skipped the question, which REST alone can say."""
    return wire.rest_fields(edit).get("skipValue") is True


def _key_of(question: protos.Pb, edit: protos.Pb) -> str | None:
    """Return the key of the choice that a person chose, by key or by value."""
    kind = edit.WhichOneof("value")
    for choice in question.answer_choices:
        if edit.key and choice.key == edit.key:
            return str(choice.key)
        is_of_kind = kind is not None and choice.WhichOneof("value") == kind
        if is_of_kind and getattr(choice, kind) == getattr(edit, kind):
            return str(choice.key)
    return None


def add_up(result: protos.Pb) -> None:
    """Add up a result's answers: as the system gave them, and with people's edits."""
    by_system = [answer.answer_sources[0].answer_value for answer in result.qa_answers]
    tags = [list(answer.tags) for answer in result.qa_answers]
    _add_up(result.score_sources.add(source_type=_SYSTEM), by_system, tags)
    final = [answer.answer_value for answer in result.qa_answers]
    if any(len(answer.answer_sources) > 1 for answer in result.qa_answers):
        _add_up(result.score_sources.add(source_type=_MANUAL), final, tags)
    _add_up(result, final, tags)


def _add_up(target: protos.Pb, values: list[protos.Pb], tags: list[list[str]]) -> None:
    _sum(target, values)
    for tag in dict.fromkeys(tag for own in tags for tag in own):
        of_tag = [value for value, own in zip(values, tags, strict=True) if tag in own]
        _sum(target.qa_tag_results.add(tag=tag), of_tag)


def _sum(target: protos.Pb, values: list[protos.Pb]) -> None:
    counted = [value for value in values if value.WhichOneof("value") not in _LEFT_OUT]
    target.score = sum(value.score for value in counted)
    target.potential_score = sum(value.potential_score for value in counted)
    if target.potential_score:
        target.normalized_score = target.score / target.potential_score
