"""What flows need of Insights' quality features; adapters and errors as in `ingest.ports.move`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ingest.domain.labels import CiLabel, WantedLabel
from ingest.domain.scorecards import LiveScorecard, Question, Scorecard
from ingest.domain.topics import ModelStats, Topic
from ingest.ports.move import CiOperation, DeployedApi


class QualityApi(DeployedApi, Protocol):
    """Scorecards of one project and location; a revision is named `scorecard_id/revision_id`."""

    async def list_scorecards(self) -> Sequence[LiveScorecard]:
        """Return all scorecards, without revisions and questions."""

    async def list_questions(self, revision: str) -> Sequence[Question]:
        """Return the questions of a revision, by their order."""

    async def create_scorecard(self, scorecard: Scorecard) -> None:
        """Create it without our questions; ALREADY_EXISTS when the id is taken."""

    async def update_scorecard(self, scorecard: Scorecard) -> None:
        """Make its name and description equal to the definition."""

    async def delete_scorecard(self, scorecard_id: str) -> None:
        """Delete it with its revisions; results in analyses stay. No error when it's gone."""

    async def create_scorecard_revision(self, revision: str) -> None:
        """Create a revision without questions; ALREADY_EXISTS when the id is taken."""

    async def create_question(self, revision: str, question: Question) -> None:
        """Create a question of an editable revision; ALREADY_EXISTS when the id is taken."""

    async def tune_scorecard_revision(self, revision: str) -> None:
        """Start to make an editable revision ready; it can't be edited any more."""

    async def deploy_scorecard_revision(self, revision: str) -> None:
        """Make analyses use a ready revision, in place of another of its scorecard."""

    async def list_labels(self) -> Sequence[CiLabel]:
        """Return the feedback labels of all conversations."""

    async def create_label(self, label: WantedLabel) -> None:
        """Label a conversation; NOT_FOUND without it, ALREADY_EXISTS when the id is taken."""

    async def update_label(self, label: WantedLabel) -> None:
        """Make a label of ours say what is wanted."""

    async def list_topics(self, model_id: str) -> Sequence[Topic]:
        """Return the topics of a model."""

    async def import_model(self, uri: str) -> CiOperation:
        """Start to make a new model of a file in a bucket."""

    async def train_model(self, display_name: str, language: str, filter_: str) -> CiOperation:
        """Start to train a model on the conversations of a filter."""

    async def deploy_model(self, model_id: str) -> CiOperation:
        """Start to let analyses use a model."""

    async def undeploy_model(self, model_id: str) -> CiOperation:
        """Start to let no analysis use a model."""

    async def delete_model(self, model_id: str) -> CiOperation:
        """Start to delete a model; topics in analyses stay."""

    async def model_stats(self, model_id: str) -> ModelStats:
        """Return how many conversations have which topic."""
