"""Insights' scorecards in memory, as the emulator keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import orjson

from ingest.domain.labels import CiLabel, WantedLabel
from ingest.domain.scorecards import (
    LiveRevision,
    LiveScorecard,
    Question,
    RevisionState,
    Scorecard,
)
from ingest.domain.topics import LiveModel, ModelState, ModelStats, Topic
from ingest.errors import RemoteError
from ingest.ports.move import CiOperation
from tests.fakes.trouble import Trouble

_PARENT = "projects/local-project/locations/us-central1"


@dataclass(kw_only=True)
class FakeQuality:
    """Scorecards of one location; `tunings` counts how often one was tuned."""

    trouble: Trouble = field(default_factory=Trouble)
    training_polls: int = 0
    """How often a revision is seen TRAINING before it is READY."""
    tunings: list[str] = field(default_factory=list)
    _scorecards: dict[str, LiveScorecard] = field(default_factory=dict)
    _revisions: dict[str, LiveRevision] = field(default_factory=dict)
    _questions: dict[str, list[Question]] = field(default_factory=dict)
    models: dict[str, LiveModel] = field(default_factory=dict)
    files: Callable[[str], bytes] = lambda _: b""
    """Gives an object of the bucket by name, which a model is imported from."""
    _model_count: int = 0
    _labels: dict[str, CiLabel] = field(default_factory=dict)
    _polls_left: dict[str, int] = field(default_factory=dict)

    @property
    def conversation_ids(self) -> list[str]:
        """Ids of all conversations, in order."""
        raise NotImplementedError

    async def list_scorecards(self) -> Sequence[LiveScorecard]:
        async with self.trouble.call("list_scorecards"):
            return list(self._scorecards.values())

    async def list_scorecard_revisions(self) -> Sequence[LiveRevision]:
        async with self.trouble.call("list_scorecard_revisions"):
            for key, left in list(self._polls_left.items()):
                self._polls_left[key] = left - 1
                if left <= 0:
                    del self._polls_left[key]
                    self._change(key, state=RevisionState.READY)
            return list(self._revisions.values())

    async def list_questions(self, revision: str) -> Sequence[Question]:
        async with self.trouble.call("list_questions"):
            return sorted(self._questions[revision], key=lambda question: question.order)

    async def create_scorecard(self, scorecard: Scorecard) -> None:
        async with self.trouble.call("create_scorecard"):
            if scorecard.scorecard_id in self._scorecards:
                raise RemoteError("fake: id is taken", code="ALREADY_EXISTS")
            self._keep(scorecard)
            self._have_revision(f"{scorecard.scorecard_id}/first")

    async def update_scorecard(self, scorecard: Scorecard) -> None:
        async with self.trouble.call("update_scorecard"):
            self._keep(scorecard)

    async def delete_scorecard(self, scorecard_id: str) -> None:
        async with self.trouble.call("delete_scorecard"):
            self._scorecards.pop(scorecard_id, None)
            for key in [key for key in self._revisions if key.startswith(f"{scorecard_id}/")]:
                del self._revisions[key]

    async def create_scorecard_revision(self, revision: str) -> None:
        async with self.trouble.call("create_scorecard_revision"):
            if revision in self._revisions:
                raise RemoteError("fake: id is taken", code="ALREADY_EXISTS")
            self._have_revision(revision)

    async def create_question(self, revision: str, question: Question) -> None:
        async with self.trouble.call("create_question"):
            held = self._questions[revision]
            if self._revisions[revision].state is not RevisionState.EDITABLE:
                raise RemoteError("fake: can't be edited", code="FAILED_PRECONDITION")
            if any(each.question_id == question.question_id for each in held):
                raise RemoteError("fake: id is taken", code="ALREADY_EXISTS")
            held.append(question)

    async def tune_scorecard_revision(self, revision: str) -> None:
        async with self.trouble.call("tune_scorecard_revision"):
            state = self._revisions[revision].state
            if state in (RevisionState.TRAINING, RevisionState.READY):
                raise RemoteError("fake: can't be tuned", code="FAILED_PRECONDITION")
            self.tunings.append(revision)
            self._change(revision, state=RevisionState.TRAINING)
            self._polls_left[revision] = self.training_polls

    async def deploy_scorecard_revision(self, revision: str) -> None:
        async with self.trouble.call("deploy_scorecard_revision"):
            if self._revisions[revision].state is not RevisionState.READY:
                raise RemoteError("fake: not READY", code="FAILED_PRECONDITION")
            scorecard_id = revision.partition("/")[0]
            for key, held in self._revisions.items():
                if held.scorecard_id == scorecard_id:
                    self._change(key, is_deployed=key == revision)

    async def list_labels(self) -> Sequence[CiLabel]:
        async with self.trouble.call("list_labels"):
            return list(self._labels.values())

    async def create_label(self, label: WantedLabel) -> None:
        async with self.trouble.call("create_label"):
            if label.conversation_id not in self.conversation_ids:
                raise RemoteError("fake: no such conversation", code="NOT_FOUND")
            if self._label_name(label) in self._labels:
                raise RemoteError("fake: id is taken", code="ALREADY_EXISTS")
            self._keep_label(label)

    async def update_label(self, label: WantedLabel) -> None:
        async with self.trouble.call("update_label"):
            if self._label_name(label) not in self._labels:
                raise RemoteError("fake: no such label", code="NOT_FOUND")
            self._keep_label(label)

    def drop_label(self, name: str) -> None:
        """Forget a label, as somebody who deletes it in the console."""
        del self._labels[name]

    def _keep_label(self, label: WantedLabel) -> None:
        said = (
            {"label": label.topic}
            if label.answer is None
            else {"qaAnswerLabel": {"key": label.answer.key}}
        )
        name = self._label_name(label)
        resource = f"{_PARENT}/{label.resource}"
        payload = {"name": name, "labeledResource": resource, **said}
        self._labels[name] = CiLabel(label.conversation_id, name, payload)

    def _label_name(self, label: WantedLabel) -> str:
        return f"{_PARENT}/conversations/{label.conversation_id}/feedbackLabels/{label.label_id}"

    async def list_models(self) -> Sequence[LiveModel]:
        async with self.trouble.call("list_models"):
            return [replace(each, topics=()) for each in self.models.values()]

    async def list_topics(self, model_id: str) -> Sequence[Topic]:
        async with self.trouble.call("list_topics"):
            return self.models[model_id].topics

    async def import_model(self, uri: str) -> CiOperation:
        async with self.trouble.call("import_model"):
            content = orjson.loads(self.files(uri.split("/", 3)[-1]))
            topics = tuple(
                Topic(each["displayName"], each["displayDescription"]) for each in content["issues"]
            )
            return self.have_model(content["displayName"], content["languageCode"], topics)

    async def train_model(self, display_name: str, language: str, filter_: str) -> CiOperation:
        async with self.trouble.call("train_model"):
            return self.have_model(display_name, language, (Topic("found", ""),))

    async def deploy_model(self, model_id: str) -> CiOperation:
        async with self.trouble.call("deploy_model"):
            return self._turn(model_id, ModelState.DEPLOYED)

    async def undeploy_model(self, model_id: str) -> CiOperation:
        async with self.trouble.call("undeploy_model"):
            return self._turn(model_id, ModelState.UNDEPLOYED)

    async def delete_model(self, model_id: str) -> CiOperation:
        async with self.trouble.call("delete_model"):
            del self.models[model_id]
            return CiOperation("operations/delete", True)

    async def model_stats(self, model_id: str) -> ModelStats:
        async with self.trouble.call("model_stats"):
            return ModelStats(0, 0, ())

    def have_model(self, name: str, language: str, topics: tuple[Topic, ...]) -> CiOperation:
        """Hold a topic model that isn't deployed."""
        self._model_count += 1
        model_id = str(self._model_count)
        self.models[model_id] = LiveModel(model_id, name, ModelState.UNDEPLOYED, language, topics)
        return CiOperation("operations/model", True)

    def _turn(self, model_id: str, state: ModelState) -> CiOperation:
        self.models[model_id] = replace(self.models[model_id], state=state)
        return CiOperation("operations/model", True)

    def make_foreign_scorecard(self, scorecard: Scorecard) -> None:
        """Hold a scorecard as another team makes it, deployed."""
        self._scorecards[scorecard.scorecard_id] = LiveScorecard(
            scorecard.scorecard_id, scorecard.display_name, scorecard.description, ()
        )
        key = f"{scorecard.scorecard_id}/theirs"
        self._have_revision(key)
        self._questions[key] = list(scorecard.questions)
        self._change(key, state=RevisionState.READY, is_deployed=True)

    def _keep(self, scorecard: Scorecard) -> None:
        self._scorecards[scorecard.scorecard_id] = LiveScorecard(
            scorecard.scorecard_id, scorecard.display_name, scorecard.marked_description, ()
        )

    def _have_revision(self, key: str) -> None:
        scorecard_id, _, revision_id = key.partition("/")
        for other, held in self._revisions.items():
            if held.scorecard_id == scorecard_id:
                self._change(other, is_latest=False)
        self._questions[key] = []
        self._revisions[key] = LiveRevision(
            scorecard_id,
            revision_id,
            RevisionState.EDITABLE,
            is_deployed=False,
            is_latest=True,
            description=self._scorecards[scorecard_id].description,
        )

    def _change(self, key: str, **changes: object) -> None:
        self._revisions[key] = replace(self._revisions[key], **changes)  # type: ignore[arg-type]
