"""Insights' quality features, through the official async gRPC client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.cloud import contact_center_insights_v1 as insights
from google.protobuf import field_mask_pb2

from ingest.domain.scorecards import (
    Answer,
    LiveScorecard,
    Question,
    Scorecard,
    ValueType,
)
from ingest.errors import RemoteError
from ingest.gcp.insights import GrpcInsightsApi
from ingest.gcp.insights_messages import scorecard_revision_name

_VALUES = {
    "str_value": ValueType.TEXT,
    "num_value": ValueType.NUMBER,
    "bool_value": ValueType.BOOL,
    "na_value": ValueType.NA,
}
_FIELDS = {kind: name for name, kind in _VALUES.items()}


class GrpcInsights(GrpcInsightsApi):
    """All of Insights that we use; a scorecard's revision is named `scorecard_id/revision_id`."""

    async def list_scorecards(self) -> Sequence[LiveScorecard]:
        """Return all scorecards, without revisions and questions."""
        request = insights.ListQaScorecardsRequest(parent=self._parent)
        found = await self._all(self._client.list_qa_scorecards, request, "qa_scorecards")
        return [
            LiveScorecard(each.name.rsplit("/", 1)[-1], each.display_name, each.description, ())
            for each in found
        ]

    async def list_questions(self, revision: str) -> Sequence[Question]:
        """Return the questions of a revision, by their order."""
        request = insights.ListQaQuestionsRequest(parent=self._revision(revision))
        found = await self._all(self._client.list_qa_questions, request, "qa_questions")
        return sorted(map(_question, found), key=lambda question: question.order)

    async def create_scorecard(self, scorecard: Scorecard) -> None:
        """Create it without our questions; ALREADY_EXISTS when the id is taken."""
        request = insights.CreateQaScorecardRequest(
            parent=self._parent,
            qa_scorecard_id=scorecard.scorecard_id,
            qa_scorecard=insights.QaScorecard(
                display_name=scorecard.display_name, description=scorecard.marked_description
            ),
        )
        await self._call(self._client.create_qa_scorecard, request)

    async def update_scorecard(self, scorecard: Scorecard) -> None:
        """Make its name and description equal to the definition."""
        request = insights.UpdateQaScorecardRequest(
            qa_scorecard=insights.QaScorecard(
                name=self._scorecard(scorecard.scorecard_id),
                display_name=scorecard.display_name,
                description=scorecard.marked_description,
            ),
            update_mask=field_mask_pb2.FieldMask(paths=["display_name", "description"]),
        )
        await self._call(self._client.update_qa_scorecard, request)

    async def delete_scorecard(self, scorecard_id: str) -> None:
        """Delete it with its revisions; no error when it's gone."""
        request = insights.DeleteQaScorecardRequest(name=self._scorecard(scorecard_id), force=True)
        try:
            await self._call(self._client.delete_qa_scorecard, request)
        except RemoteError as error:
            if error.code != "NOT_FOUND":
                raise

    async def create_scorecard_revision(self, revision: str) -> None:
        """Create a revision without questions; ALREADY_EXISTS when the id is taken."""
        scorecard_id, _, revision_id = revision.partition("/")
        request = insights.CreateQaScorecardRevisionRequest(
            parent=self._scorecard(scorecard_id),
            qa_scorecard_revision_id=revision_id,
            qa_scorecard_revision=insights.QaScorecardRevision(),
        )
        await self._call(self._client.create_qa_scorecard_revision, request)

    async def create_question(self, revision: str, question: Question) -> None:
        """Create a question of an editable revision; ALREADY_EXISTS when the id is taken."""
        request = insights.CreateQaQuestionRequest(
            parent=self._revision(revision),
            qa_question_id=question.question_id,
            qa_question=insights.QaQuestion(
                abbreviation=question.abbreviation,
                question_body=question.body,
                answer_instructions=question.instructions,
                answer_choices=[_choice(answer) for answer in question.answers],
                tags=question.tags,
                order=question.order,
            ),
        )
        await self._call(self._client.create_qa_question, request)

    async def tune_scorecard_revision(self, revision: str) -> None:
        """Start to make an editable revision ready; it can't be edited any more."""
        request = insights.TuneQaScorecardRevisionRequest(parent=self._revision(revision))
        operation = await self._call(self._client.tune_qa_scorecard_revision, request)
        if operation.operation.done:
            # A future whose error nobody asks for is reported on stderr; the state tells it.
            await operation.exception()

    async def deploy_scorecard_revision(self, revision: str) -> None:
        """Make analyses use a ready revision, in place of another of its scorecard."""
        request = insights.DeployQaScorecardRevisionRequest(name=self._revision(revision))
        await self._call(self._client.deploy_qa_scorecard_revision, request)

    def _scorecard(self, scorecard_id: str) -> str:
        return f"{self._parent}/qaScorecards/{scorecard_id}"

    def _revision(self, key: str) -> str:
        return scorecard_revision_name(self._parent, key)


def _question(message: Any) -> Question:
    return Question(
        message.name.rsplit("/", 1)[-1],
        message.order,
        message.abbreviation,
        message.question_body,
        message.answer_instructions,
        tuple(message.tags),
        tuple(_answer(choice) for choice in message.answer_choices),
    )


def _answer(choice: Any) -> Answer:
    name = insights.QaQuestion.AnswerChoice.pb(choice).WhichOneof("value") or "str_value"
    kind, value = _VALUES[name], getattr(choice, name)
    if kind is ValueType.NA:
        return Answer(choice.key, kind, "", None)
    text = f"{value:g}" if kind is ValueType.NUMBER else str(value)
    return Answer(choice.key, kind, text.lower() if kind is ValueType.BOOL else text, choice.score)


def _choice(answer: Answer) -> insights.QaQuestion.AnswerChoice:
    values: dict[ValueType, Any] = {ValueType.NA: True, ValueType.TEXT: answer.value}
    if answer.type is ValueType.NUMBER:
        values[answer.type] = float(answer.value)
    elif answer.type is ValueType.BOOL:
        values[answer.type] = answer.value == "true"
    return insights.QaQuestion.AnswerChoice(
        key=answer.key,
        score=answer.score,
        **{_FIELDS[answer.type]: values[answer.type]},
    )
