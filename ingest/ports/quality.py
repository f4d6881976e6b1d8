"""What flows need of Insights' quality features; adapters and errors as in `ingest.ports.move`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ingest.domain.scorecards import LiveRevision, LiveScorecard, Question, Scorecard


class DeployedApi(Protocol):
    """What tells which scorecards an analysis is asked for."""

    async def list_scorecard_revisions(self) -> Sequence[LiveRevision]:
        """Return all revisions of all scorecards."""


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
