"""QA scorecards: their revisions, questions and states."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from google.protobuf import field_mask_pb2
from insights_service import TIMEOUT_SEC, Service, new_id

State = insights.QaScorecardRevision.State
CHOICES: list[dict[str, Any]] = [
    {"key": "yes", "bool_value": True, "score": 1},
    {"key": "no", "bool_value": False, "score": 0},
    {"key": "na", "na_value": True},
]


def scorecard(service: Service, **fields: Any) -> insights.QaScorecard:
    """Create a scorecard with an id of its own."""
    made = service.client.create_qa_scorecard(
        insights.CreateQaScorecardRequest(
            parent=service.parent,
            qa_scorecard_id=new_id()[:60],
            qa_scorecard=insights.QaScorecard(**{"display_name": "Greeting", **fields}),
        )
    )
    service.made.append(made.name)
    return made


def question(service: Service, revision: str, question_id: str = "", **fields: Any) -> Any:
    """Create a question of a revision."""
    values = {"question_body": "Greeted?", "answer_choices": CHOICES, "order": 1, **fields}
    return service.client.create_qa_question(
        insights.CreateQaQuestionRequest(
            parent=revision, qa_question_id=question_id, qa_question=insights.QaQuestion(**values)
        )
    )


def latest(service: Service, card: str) -> insights.QaScorecardRevision:
    """Return the newest revision."""
    return service.client.get_qa_scorecard_revision(name=f"{card}/revisions/latest")


def tune(service: Service, revision: str, **fields: Any) -> Any:
    """Make a revision ready; return the operation, which has ended."""
    request = insights.TuneQaScorecardRevisionRequest(parent=revision, **fields)
    operation = service.client.tune_qa_scorecard_revision(request)
    operation.result(timeout=TIMEOUT_SEC)
    return operation


@pytest.mark.fact("observed", "Google's own tool reads revisions/latest right after a create")
def test_a_new_scorecard_has_a_revision_that_can_be_edited(service: Service) -> None:
    card = scorecard(service, description="d")
    revision = latest(service, card.name)
    assert (revision.state, list(revision.alternate_ids)) == (State.EDITABLE, ["latest"])
    assert revision.snapshot == card
    assert list(service.client.list_qa_scorecard_revisions(parent=card.name)) == [revision]
    every = service.client.list_qa_scorecard_revisions(parent=f"{service.parent}/qaScorecards/-")
    assert revision in list(every)


@pytest.mark.fact("documented", "QaScorecard and its methods; the refusals' codes assumed")
def test_a_scorecard_is_changed_listed_and_deleted_by_force(service: Service) -> None:
    card = scorecard(service)
    card.display_name, card.description = "Other", "not in the mask"
    changed = service.client.update_qa_scorecard(
        qa_scorecard=card, update_mask=field_mask_pb2.FieldMask(paths=["display_name"])
    )
    assert (changed.display_name, changed.description) == ("Other", "")
    assert latest(service, card.name).snapshot.display_name == "Greeting"
    assert changed in list(service.client.list_qa_scorecards(parent=service.parent))
    with service.refused(exceptions.AlreadyExists):
        service.client.create_qa_scorecard(
            insights.CreateQaScorecardRequest(
                parent=service.parent,
                qa_scorecard_id=card.name.rpartition("/")[2],
                qa_scorecard=card,
            )
        )
    with service.refused(exceptions.FailedPrecondition):
        service.client.delete_qa_scorecard(name=card.name)
    request = insights.DeleteQaScorecardRequest(name=card.name, force=True)
    service.client.delete_qa_scorecard(request)
    for call in (
        lambda: service.client.get_qa_scorecard(name=card.name),
        lambda: latest(service, card.name),
    ):
        with service.refused(exceptions.NotFound):
            call()


@pytest.mark.fact("documented", "QaQuestion and its methods")
def test_a_question_is_kept_changed_listed_and_deleted(service: Service) -> None:
    revision = latest(service, scorecard(service).name)
    alias = f"{revision.name.rpartition('/')[0]}/latest"
    first = question(service, alias, "greeting", tags=["BUSINESS"], metrics={"accuracy": 1})
    second = question(service, revision.name, question_body="Closed?", order=2)
    assert first.name == f"{revision.name}/qaQuestions/greeting"
    assert "metrics" not in first
    assert list(service.client.list_qa_questions(parent=alias)) == [first, second]
    first.question_body, first.order = "Greeted well?", 7
    mask = field_mask_pb2.FieldMask(paths=["question_body"])
    changed = service.client.update_qa_question(qa_question=first, update_mask=mask)
    assert (changed.question_body, changed.order) == ("Greeted well?", 1)
    by_alias = service.client.get_qa_question(name=f"{alias}/qaQuestions/greeting")
    assert by_alias == changed
    service.client.delete_qa_question(name=second.name)
    with service.refused(exceptions.NotFound):
        service.client.get_qa_question(name=second.name)


@pytest.mark.fact("assumed", "answers with equal keys, without value, or not N/A after all")
@pytest.mark.parametrize(
    "choices", [[CHOICES[0], CHOICES[0]], [{"key": "a"}], [{"key": "na", "na_value": False}]]
)
def test_answers_that_can_not_be_are_refused(service: Service, choices: list[Any]) -> None:
    revision = latest(service, scorecard(service).name)
    with service.refused(exceptions.InvalidArgument):
        question(service, revision.name, answer_choices=choices)


@pytest.mark.fact("documented", "states of a revision; that tuning needs no labels is observed")
def test_a_revision_is_tuned_deployed_and_then_fixed(service: Service) -> None:
    revision = latest(service, scorecard(service).name)
    asked = question(service, revision.name)
    with service.refused(exceptions.FailedPrecondition):
        service.client.deploy_qa_scorecard_revision({"name": revision.name})
    checked = tune(service, revision.name, validate_only=True)
    assert service.client.get_qa_scorecard_revision(name=revision.name).state == State.EDITABLE
    tuned = tune(service, revision.name)
    (result,) = tuned.metadata.qa_question_dataset_validation_results
    assert (result.question, result.valid_feedback_labels_count) == (asked.name, 0)
    assert tuned.metadata.tuning_completion_ratio == 1
    assert checked.metadata.qa_question_dataset_validation_results == [result]
    ready = service.client.get_qa_scorecard_revision(name=revision.name)
    deployed = service.client.deploy_qa_scorecard_revision({"name": revision.name})
    assert (ready.state, list(ready.alternate_ids)) == (State.READY, ["latest"])
    assert (deployed.state, set(deployed.alternate_ids)) == (State.READY, {"latest", "default"})
    for call in (
        lambda: question(service, revision.name),
        lambda: service.client.delete_qa_question(name=asked.name),
        lambda: service.client.update_qa_question(
            qa_question=asked, update_mask=field_mask_pb2.FieldMask(paths=["order"])
        ),
        lambda: tune(service, revision.name),
    ):
        with service.refused(exceptions.FailedPrecondition):
            call()
    undeployed = service.client.undeploy_qa_scorecard_revision({"name": revision.name})
    assert list(undeployed.alternate_ids) == ["latest"]


@pytest.mark.fact("assumed", "a newer revision takes `latest`; one revision at a time is deployed")
def test_alternate_ids_move_to_another_revision(service: Service) -> None:
    card = scorecard(service)
    first = latest(service, card.name)
    question(service, first.name)
    tune(service, first.name)
    service.client.deploy_qa_scorecard_revision({"name": f"{card.name}/revisions/latest"})
    request = insights.CreateQaScorecardRevisionRequest(
        parent=card.name, qa_scorecard_revision_id="second"
    )
    second = service.client.create_qa_scorecard_revision(request)
    assert list(service.client.list_qa_questions(parent=second.name)) == []

    def alternates() -> list[list[str]]:
        listed = service.client.list_qa_scorecard_revisions(parent=card.name)
        return [sorted(each.alternate_ids) for each in listed]

    assert alternates() == [["default"], ["latest"]]
    with service.refused(exceptions.FailedPrecondition):
        tune(service, second.name)
    question(service, second.name)
    tune(service, second.name)
    service.client.deploy_qa_scorecard_revision({"name": second.name})
    assert alternates() == [[], ["default", "latest"]]
    with service.refused(exceptions.FailedPrecondition):
        service.client.undeploy_qa_scorecard_revision({"name": first.name})
    with service.refused(exceptions.FailedPrecondition):
        service.client.delete_qa_scorecard_revision(name=second.name)
    delete = insights.DeleteQaScorecardRevisionRequest(name=second.name, force=True)
    service.client.delete_qa_scorecard_revision(delete)
    assert alternates() == [["latest"]]


@pytest.mark.fact("documented", "total_valid_label_count and its warnings; the minimum assumed")
def test_tuning_counts_the_labels_of_each_question(service: Service) -> None:
    revision = latest(service, scorecard(service).name)
    asked = question(service, revision.name)
    talk = service.talk(("AGENT", "Hello.")).name
    for answer in (CHOICES[0], CHOICES[0], CHOICES[1]):
        label = {"labeled_resource": asked.name, "qa_answer_label": answer}
        service.client.create_feedback_label(parent=talk, feedback_label=label)
    tune(service, revision.name)
    tuned = service.client.get_qa_question(name=asked.name).tuning_metadata
    assert (tuned.total_valid_label_count, list(tuned.dataset_validation_warnings)) == (3, [])


@pytest.mark.fact("documented", "QaScorecardResult: one answer a question, N/A left out of scores")
def test_an_analysis_answers_the_questions_of_the_listed_revision(service: Service) -> None:
    revision = latest(service, scorecard(service).name)
    asked = [question(service, revision.name, tags=["BUSINESS"], order=n) for n in range(2)]
    scorecards = {"qa_scorecard_revisions": [revision.name]}
    selector = insights.AnnotatorSelector(
        run_qa_annotator=True, qa_config={"scorecard_list": scorecards}
    )
    talk = service.talk(("AGENT", "Hello."), ("CUSTOMER", "Hi."), agent_id="agent-1").name
    with service.refused(exceptions.FailedPrecondition):
        service.analyse(talk, selector)
    tune(service, revision.name)
    analysis = service.analyse(talk, selector)
    (result,) = analysis.analysis_result.call_analysis_metadata.qa_scorecard_results
    counted = [a.answer_value for a in result.qa_answers if not a.answer_value.na_value]
    assert (result.qa_scorecard_revision, result.conversation) == (revision.name, talk)
    assert result.agent_id == "agent-1"
    assert [answer.qa_question for answer in result.qa_answers] == [each.name for each in asked]
    assert {answer.answer_value.key for answer in result.qa_answers} <= {"yes", "no", "na"}
    assert result.score == sum(value.score for value in counted)
    assert result.potential_score == sum(value.potential_score for value in counted)
    (tag,) = result.qa_tag_results
    assert (tag.tag, tag.score) == ("BUSINESS", result.score)
