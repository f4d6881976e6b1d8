"""QA scorecards, their revisions and questions: kept, tuned, deployed.

A revision is a snapshot that is edited, tuned and then used: EDITABLE, TRAINING, READY, or
TRAINING_FAILED and TRAINING_CANCELLED (documented). `latest` stands for a scorecard's newest
revision, `default` for the deployed one.
"""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from ingest.emulator import protos
from ingest.emulator.context import Context
from ingest.emulator.errors import failed_precondition, invalid
from ingest.emulator.feedback_labels import FeedbackLabelStore
from ingest.emulator.filters import LABEL_FIELDS, compile_filter
from ingest.emulator.operation_store import StoredOperation
from ingest.emulator.operations import Kind, OperationEngine, Outcome, Running
from ingest.emulator.request_fields import UpdateRule
from ingest.emulator.resources import ResourceName, Resources
from ingest.emulator.wire import rest_fields

LATEST, DEPLOYED = "latest", "default"
_TUNE = "TuneQaScorecardRevision"
_Scorecard = protos.message_class("QaScorecard")
_Revision = protos.message_class("QaScorecardRevision")
_Question = protos.message_class("QaQuestion")
_Request = protos.message_class(f"{_TUNE}Request")
_Metadata = protos.message_class(f"{_TUNE}Metadata")
_Response = protos.message_class(f"{_TUNE}Response")
_STATES = _Revision.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_name
EDITABLE, TRAINING, READY, FAILED, CANCELLED = (
    _STATES[name].number
    for name in ("EDITABLE", "TRAINING", "READY", "TRAINING_FAILED", "TRAINING_CANCELLED")
)
_NO_LABELS, _ALL_THE_SAME = 2, 4
_SCORECARD_UPDATE = UpdateRule(_Scorecard, updatable=("display_name", "description"))
_QUESTION_UPDATE = UpdateRule(
    _Question,
    updatable=(
        "abbreviation", "question_body", "answer_instructions", "answer_choices", "tags", "order",
    ),
)  # fmt: skip


class ScorecardStore:
    """Finds scorecards' revisions and questions, also by their alternate ids."""

    def __init__(self, context: Context) -> None:
        self.scorecards = Resources(context, _Scorecard, "qaScorecards")
        self.revisions = Resources(context, _Revision, "qaScorecards", "revisions")
        self.questions = Resources(context, _Question, "qaScorecards", "revisions", "qaQuestions")

    def revision_name(self, name: str, field: str = "name") -> ResourceName:
        """Return a revision's name with its own id; the given one may have an alternate id."""
        given = self.revisions.name(name, field)
        if given.id not in (LATEST, DEPLOYED):
            return given
        owner = self.revisions.owner(f"{given.location}/{given.owner}")
        for revision in self.revisions.every(owner):
            if given.id in revision.alternate_ids:
                return self.revisions.name(revision.name)
        return given

    def question_name(self, name: str) -> ResourceName:
        """Return a question's name; that of its revision may have an alternate id."""
        given = self.questions.name(name)
        revision = self.revision_name(f"{given.location}/{given.owner}")
        return ResourceName(given.location, revision.path, given.collection, given.id)

    def deployed(self, location: str) -> Iterator[protos.Pb]:
        """Yield the deployed revision of each scorecard that has one."""
        for scorecard in self.scorecards.every(ResourceName(location, "", "", "")):
            for revision in self.revisions.every(self.scorecards.name(scorecard.name)):
                if DEPLOYED in revision.alternate_ids:
                    yield revision


class ScorecardMethods:
    """The methods, by their RPC names in snake case."""

    def __init__(self, context: Context, operations: OperationEngine) -> None:
        self._context = context
        self._store = ScorecardStore(context)
        self._labels = FeedbackLabelStore(context.database)
        self._operations = operations
        operations.register(
            Kind(_TUNE, _Request, _Metadata, at_once=self._tune, on_failure=self._not_tuned)
        )

    async def create_qa_scorecard(self, request: protos.Pb) -> protos.Pb:
        """Keep a scorecard, and a first revision of it that can be edited."""
        cards = self._store.scorecards
        name = cards.new_name(cards.owner(request.parent), request.qa_scorecard_id)
        scorecard = _Scorecard()
        scorecard.CopyFrom(request.qa_scorecard)
        scorecard.create_time.CopyFrom(self._now())
        scorecard.update_time.CopyFrom(self._now())
        with self._context.database.transaction():
            cards.insert(name, scorecard)
            self._new_revision(name, "")
        return scorecard

    async def get_qa_scorecard(self, request: protos.Pb) -> protos.Pb:
        """Return a scorecard."""
        return self._store.scorecards.get(self._store.scorecards.name(request.name))

    async def list_qa_scorecards(self, request: protos.Pb) -> protos.Pb:
        """Return a page of scorecards, the oldest first (assumed)."""
        reply = protos.message_class("ListQaScorecardsResponse")()
        return self._store.scorecards.page(request, reply, "qa_scorecards")

    async def update_qa_scorecard(self, request: protos.Pb) -> protos.Pb:
        """Change what the mask names; snapshots of revisions stay."""
        cards, given = self._store.scorecards, request.qa_scorecard
        name = cards.name(given.name)
        scorecard = cards.updated(_SCORECARD_UPDATE, name, given, request.update_mask.paths)
        scorecard.update_time.CopyFrom(self._now())
        cards.replace(name, scorecard)
        return scorecard

    async def delete_qa_scorecard(self, request: protos.Pb) -> protos.Pb:
        """Forget a scorecard; by force when it has revisions (documented), as it always has."""
        name = self._store.scorecards.name(request.name)
        if rest_fields(self._store.scorecards.get(name)).get("isDefault"):
            raise failed_precondition("The default scorecard can't be deleted.")
        if not request.force and self._store.revisions.every(name):
            raise failed_precondition(f"Scorecard '{name}' has revisions; set force.")
        self._store.scorecards.delete(name)
        return protos.Empty()

    async def create_qa_scorecard_revision(self, request: protos.Pb) -> protos.Pb:
        """Keep a snapshot of the scorecard that can be edited, without questions (assumed)."""
        owner = self._store.revisions.owner(request.parent)
        with self._context.database.transaction():
            return self._new_revision(owner, request.qa_scorecard_revision_id)

    async def get_qa_scorecard_revision(self, request: protos.Pb) -> protos.Pb:
        """Return a revision, by its id or an alternate id."""
        return self._store.revisions.get(self._store.revision_name(request.name))

    async def list_qa_scorecard_revisions(self, request: protos.Pb) -> protos.Pb:
        """Return a page of revisions, the oldest first (assumed); `-` is every scorecard."""
        if request.filter:
            raise invalid(f"Invalid filter '{request.filter}': no field of a revision is known.")
        owner = self._store.revisions.owner(request.parent)
        if owner.id != "-":
            self._store.scorecards.get(owner)
        reply = protos.message_class("ListQaScorecardRevisionsResponse")()
        return self._store.revisions.page(request, reply, "qa_scorecard_revisions")

    async def delete_qa_scorecard_revision(self, request: protos.Pb) -> protos.Pb:
        """Forget a revision; by force when it has questions (documented)."""
        name = self._store.revision_name(request.name)
        revision = self._store.revisions.get(name)
        if revision.state == TRAINING:
            raise failed_precondition(f"Revision '{name}' is being trained.")
        if not request.force and self._store.questions.every(name):
            raise failed_precondition(f"Revision '{name}' has questions; set force.")
        with self._context.database.transaction():
            self._store.revisions.delete(name)
            left = self._store.revisions.every(self._scorecard(name))
            if left and LATEST in revision.alternate_ids:
                left[-1].alternate_ids.append(LATEST)
                self._store.revisions.replace(self._store.revisions.name(left[-1].name), left[-1])
        return protos.Empty()

    async def tune_qa_scorecard_revision(self, request: protos.Pb) -> protos.Pb:
        """Make a revision ready for analysis, in an operation.

        It works without labels and without a filter, as Google's own tool does it; a revision
        without questions has nothing to tune (assumed).
        """
        name = self._store.revision_name(request.parent, "parent")
        revision = self._store.revisions.get(name)
        compile_filter(request.filter, LABEL_FIELDS)
        if revision.state not in (EDITABLE, FAILED, CANCELLED):
            raise failed_precondition(f"Revision '{name}' can't be tuned in its state.")
        if not self._store.questions.every(name):
            raise failed_precondition(f"Revision '{name}' has no questions.")
        if not request.validate_only:
            self._set_state(name, TRAINING)
        metadata = _Metadata(request=request)
        return await self._operations.start(_TUNE, name.location, request, metadata)

    async def deploy_qa_scorecard_revision(self, request: protos.Pb) -> protos.Pb:
        """Make a revision that is READY the one that analyses use, in place of another."""
        name = self._store.revision_name(request.name)
        if self._store.revisions.get(name).state != READY:
            raise failed_precondition(f"Revision '{name}' isn't READY.")
        with self._context.database.transaction():
            self._mark(self._scorecard(name), DEPLOYED, name)
        return self._store.revisions.get(name)

    async def undeploy_qa_scorecard_revision(self, request: protos.Pb) -> protos.Pb:
        """Let no analysis use the revision; one that isn't deployed is refused (assumed)."""
        name = self._store.revision_name(request.name)
        if DEPLOYED not in self._store.revisions.get(name).alternate_ids:
            raise failed_precondition(f"Revision '{name}' isn't deployed.")
        with self._context.database.transaction():
            self._mark(self._scorecard(name), DEPLOYED, None)
        return self._store.revisions.get(name)

    async def create_qa_question(self, request: protos.Pb) -> protos.Pb:
        """Keep a question of a revision that can be edited."""
        owner = self._editable(request.parent)
        question = _Question()
        question.CopyFrom(request.qa_question)
        for field in ("metrics", "tuning_metadata"):
            question.ClearField(field)
        _check(question)
        question.create_time.CopyFrom(self._now())
        question.update_time.CopyFrom(self._now())
        name = self._store.questions.new_name(owner, request.qa_question_id)
        self._store.questions.insert(name, question)
        return question

    async def get_qa_question(self, request: protos.Pb) -> protos.Pb:
        """Return a question."""
        return self._store.questions.get(self._store.question_name(request.name))

    async def list_qa_questions(self, request: protos.Pb) -> protos.Pb:
        """Return a page of a revision's questions, in the order they were made (assumed)."""
        owner = self._store.revision_name(request.parent, "parent")
        self._store.revisions.get(owner)
        reply = protos.message_class("ListQaQuestionsResponse")()
        request.parent = str(owner)
        return self._store.questions.page(request, reply, "qa_questions")

    async def update_qa_question(self, request: protos.Pb) -> protos.Pb:
        """Change what the mask names of a question whose revision can be edited."""
        given = request.qa_question
        name = self._store.question_name(given.name)
        paths = request.update_mask.paths
        question = self._store.questions.updated(_QUESTION_UPDATE, name, given, paths)
        self._editable(f"{name.location}/{name.owner}")
        _check(question)
        question.update_time.CopyFrom(self._now())
        self._store.questions.replace(name, question)
        return question

    async def delete_qa_question(self, request: protos.Pb) -> protos.Pb:
        """Forget a question of a revision that can be edited."""
        name = self._store.question_name(request.name)
        self._store.questions.get(name)
        self._editable(f"{name.location}/{name.owner}")
        self._store.questions.delete(name)
        return protos.Empty()

    def _tune(self, running: Running) -> Outcome:
        """Count the labels of each question, as a check of their number and variety."""
        request, metadata = running.request, running.metadata
        name = self._store.revision_name(request.parent, "parent")
        self._store.revisions.get(name)
        for question in self._store.questions.every(name):
            labels = self._labels_of(question, request.filter)
            result = metadata.qa_question_dataset_validation_results.add(
                question=question.name, valid_feedback_labels_count=len(labels)
            )
            answers = {label.qa_answer_label.SerializeToString() for label in labels}
            if not labels:
                result.dataset_validation_warnings.append(_NO_LABELS)
            elif len(answers) == 1:
                result.dataset_validation_warnings.append(_ALL_THE_SAME)
            if not request.validate_only:
                question.tuning_metadata.total_valid_label_count = len(labels)
                warnings = question.tuning_metadata.dataset_validation_warnings
                warnings.extend(result.dataset_validation_warnings)
                self._store.questions.replace(self._store.questions.name(question.name), question)
        metadata.tuning_completion_ratio = 1
        if not request.validate_only:
            self._set_state(name, READY)
        return Outcome(_Response())

    def _not_tuned(self, operation: StoredOperation, code: int) -> None:
        request = _Request.FromString(operation.request)
        name = self._store.revision_name(request.parent, "parent")
        if not request.validate_only and self._store.revisions.find(name) is not None:
            is_cancelled = code == grpc.StatusCode.CANCELLED.value[0]
            self._set_state(name, CANCELLED if is_cancelled else FAILED)

    def _labels_of(self, question: protos.Pb, wanted: str) -> list[protos.Pb]:
        condition = compile_filter(wanted, LABEL_FIELDS)
        name = self._store.questions.name(question.name)
        found = self._labels.select(
            f"f.parent_id = ? and f.question_id = ? and ({condition.sql})",
            (self._context.database.parent_id(name.location), name.id, *condition.parameters),
        )
        return [label for _, label in found if label.labeled_resource == question.name]

    def _new_revision(self, owner: ResourceName, given_id: str) -> protos.Pb:
        """Keep a new revision, which becomes the latest; the transaction is the caller's."""
        revision = _Revision(state=EDITABLE, snapshot=self._store.scorecards.get(owner))
        revision.create_time.CopyFrom(self._now())
        name = self._store.revisions.new_name(owner, given_id)
        if name.id in (LATEST, DEPLOYED):
            raise invalid(f"Invalid id '{name.id}': it stands for another revision.")
        self._store.revisions.insert(name, revision)
        self._mark(owner, LATEST, name)
        return self._store.revisions.get(name)

    def _mark(self, scorecard: ResourceName, alternate: str, marked: ResourceName | None) -> None:
        """Give an alternate id to one revision of the scorecard, or to none."""
        for revision in self._store.revisions.every(scorecard):
            is_marked = marked is not None and revision.name == str(marked)
            if (alternate in revision.alternate_ids) == is_marked:
                continue
            if is_marked:
                revision.alternate_ids.append(alternate)
            else:
                revision.alternate_ids.remove(alternate)
            self._store.revisions.replace(self._store.revisions.name(revision.name), revision)

    def _set_state(self, name: ResourceName, state: int) -> None:
        revision = self._store.revisions.get(name)
        revision.state = state
        self._store.revisions.replace(name, revision)

    def _editable(self, parent: str) -> ResourceName:
        name = self._store.revision_name(parent, "parent")
        if self._store.revisions.get(name).state != EDITABLE:
            raise failed_precondition(
                f"Revision '{name}' can't be edited any more; create a new revision."
            )
        return name

    def _scorecard(self, revision: ResourceName) -> ResourceName:
        return self._store.scorecards.name(f"{revision.location}/{revision.owner}")

    def _now(self) -> protos.Pb:
        return protos.timestamp(self._context.clock.now())


def _check(question: protos.Pb) -> None:
    """Keys tell answers apart (documented); that two may not be equal is assumed."""
    keys = [choice.key for choice in question.answer_choices if choice.key]
    if len(keys) != len(set(keys)):
        raise invalid("Invalid qa_question.answer_choices: two have the same key.")
    for index, choice in enumerate(question.answer_choices):
        if choice.WhichOneof("value") is None:
            raise invalid(f"Invalid qa_question.answer_choices[{index}]: a value is required.")
        if choice.WhichOneof("value") == "na_value" and not choice.na_value:
            raise invalid(f"Invalid qa_question.answer_choices[{index}].na_value: use true.")
