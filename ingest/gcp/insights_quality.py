"""Insights' quality features, through the official async gRPC client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.cloud import contact_center_insights_v1 as insights
from google.protobuf import field_mask_pb2

from ingest.domain.labels import CiLabel, WantedLabel
from ingest.domain.scorecards import (
    Answer,
    LiveScorecard,
    Question,
    Scorecard,
    ValueType,
)
from ingest.domain.topics import ModelStats, Topic, TopicCount
from ingest.errors import RemoteError
from ingest.gcp.insights import GrpcInsightsApi, started
from ingest.gcp.insights_messages import rest_json, scorecard_revision_name
from ingest.ports.move import CiOperation

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

    async def list_labels(self) -> Sequence[CiLabel]:
        """Return the feedback labels of all conversations."""
        request = insights.ListAllFeedbackLabelsRequest(parent=self._parent)
        method = self._client.list_all_feedback_labels
        return [_label(each) for each in await self._all(method, request, "feedback_labels")]

    async def create_label(self, label: WantedLabel) -> None:
        """Label a conversation; NOT_FOUND without it, ALREADY_EXISTS when the id is taken."""
        request = insights.CreateFeedbackLabelRequest(
            parent=self._name(label.conversation_id),
            feedback_label_id=label.label_id,
            feedback_label=self._label(label),
        )
        await self._call(self._client.create_feedback_label, request)

    async def update_label(self, label: WantedLabel) -> None:
        """Make a label of ours say what is wanted."""
        message = self._label(label)
        message.name = f"{self._name(label.conversation_id)}/feedbackLabels/{label.label_id}"
        said = "label" if label.answer is None else "qa_answer_label"
        request = insights.UpdateFeedbackLabelRequest(
            feedback_label=message,
            update_mask=field_mask_pb2.FieldMask(paths=[said, "labeled_resource"]),
        )
        await self._call(self._client.update_feedback_label, request)

    async def list_topics(self, model_id: str) -> Sequence[Topic]:
        """Return the topics of a model."""
        request = insights.ListIssuesRequest(parent=self._model(model_id))
        reply = await self._call(self._client.list_issues, request)
        return [Topic(each.display_name, each.display_description) for each in reply.issues]

    async def import_model(self, uri: str) -> CiOperation:
        """Start to make a new model of a file in a bucket."""
        request = insights.ImportIssueModelRequest(
            parent=self._parent,
            gcs_source=insights.ImportIssueModelRequest.GcsSource(object_uri=uri),
            create_new_model=True,
        )
        return await started(await self._call(self._client.import_issue_model, request))

    async def train_model(self, display_name: str, language: str, filter_: str) -> CiOperation:
        """Start to train a model on the conversations of a filter."""
        model = insights.IssueModel(
            display_name=display_name,
            language_code=language,
            model_type=insights.IssueModel.ModelType.TYPE_V2,
            input_data_config=insights.IssueModel.InputDataConfig(filter=filter_),
        )
        request = insights.CreateIssueModelRequest(parent=self._parent, issue_model=model)
        return await started(await self._call(self._client.create_issue_model, request))

    async def deploy_model(self, model_id: str) -> CiOperation:
        """Start to let analyses use a model."""
        request = insights.DeployIssueModelRequest(name=self._model(model_id))
        return await started(await self._call(self._client.deploy_issue_model, request))

    async def undeploy_model(self, model_id: str) -> CiOperation:
        """Start to let no analysis use a model."""
        request = insights.UndeployIssueModelRequest(name=self._model(model_id))
        return await started(await self._call(self._client.undeploy_issue_model, request))

    async def delete_model(self, model_id: str) -> CiOperation:
        """Start to delete a model; topics in analyses stay."""
        request = insights.DeleteIssueModelRequest(name=self._model(model_id))
        return await started(await self._call(self._client.delete_issue_model, request))

    async def model_stats(self, model_id: str) -> ModelStats:
        """Return how many conversations have which topic."""
        request = insights.CalculateIssueModelStatsRequest(issue_model=self._model(model_id))
        reply = await self._call(self._client.calculate_issue_model_stats, request)
        stats = reply.current_stats
        topics = [
            TopicCount(each.display_name, each.labeled_conversations_count)
            for each in stats.issue_stats.values()
        ]
        return ModelStats(
            stats.analyzed_conversations_count,
            stats.unclassified_conversations_count,
            tuple(sorted(topics, key=lambda each: (-each.conversation_count, each.topic))),
        )

    def _model(self, model_id: str) -> str:
        return f"{self._parent}/issueModels/{model_id}"

    def _label(self, label: WantedLabel) -> insights.FeedbackLabel:
        message = insights.FeedbackLabel(labeled_resource=f"{self._parent}/{label.resource}")
        if label.answer is None:
            message.label = label.topic
        else:
            value = _value(label.answer)
            message.qa_answer_label = insights.QaAnswer.AnswerValue(key=label.answer.key, **value)
        return message

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


def _label(message: Any) -> CiLabel:
    conversation_id = message.name.split("/")[-3]
    payload = rest_json(insights.FeedbackLabel.pb(message))
    return CiLabel(conversation_id, message.name, payload)


def _value(answer: Answer) -> dict[str, Any]:
    """Return the field of the answer's value, by its name."""
    values: dict[ValueType, Any] = {ValueType.NA: True, ValueType.TEXT: answer.value}
    if answer.type is ValueType.NUMBER:
        values[answer.type] = float(answer.value)
    elif answer.type is ValueType.BOOL:
        values[answer.type] = answer.value == "true"
    return {_FIELDS[answer.type]: values[answer.type]}


def _choice(answer: Answer) -> insights.QaQuestion.AnswerChoice:
    return insights.QaQuestion.AnswerChoice(key=answer.key, score=answer.score, **_value(answer))
