"""Insights' scorecards in memory, as the emulator keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ingest.domain.scorecards import (
    LiveRevision,
    LiveScorecard,
    Question,
    RevisionState,
    Scorecard,
)
from ingest.errors import RemoteError
from tests.fakes.trouble import Trouble


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
    _polls_left: dict[str, int] = field(default_factory=dict)

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
