from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from google.cloud import contact_center_insights_v1 as insights
from google.longrunning import operations_pb2
from google.protobuf import json_format
from google.rpc import code_pb2, status_pb2

from ingest.domain.annotators import Selector, selector_of
from ingest.domain.conversation import Metadata, Transcription
from ingest.domain.insights_format import CiSubmission, ConversationVersion, ci_submission
from ingest.domain.matchers import MatcherDefinition, content_sha256, version_tag
from ingest.domain.scorecards import RevisionState
from ingest.flows.matchers import read_definitions
from ingest.gcp import insights_messages as messages
from ingest.ports.move import CiAnalysis, CiOperation
from tests.fakes.folders import conversation_id, metadata, transcription

ID = conversation_id(3)
PARENT = "projects/p/locations/us-central1"
SEEDS = Path(__file__).parents[3] / "seeds"


def submission() -> CiSubmission:
    return ci_submission(
        ConversationVersion(
            ID,
            dt.date(2026, 1, 5),
            Metadata.model_validate(metadata(ID)),
            Transcription.model_validate(transcription(ID)),
            "aa",
            "bb",
        )
    )


def test_a_conversation_carries_agent_times_and_labels() -> None:
    made = submission()

    written = json_format.MessageToDict(
        insights.Conversation.pb(messages.conversation(made, "bucket"))
    )

    assert written == {
        "dataSource": {"gcsSource": {"transcriptUri": f"gs://bucket/{made.transcript_object}"}},
        "startTime": "2026-01-04T23:00:00Z",
        "languageCode": "en-AU",
        "medium": "PHONE_CALL",
        "agentId": "AGT-7",
        "qualityMetadata": {
            "agentInfo": [
                {
                    "agentId": "AGT-7",
                    "displayName": "Robin Vale",
                    "teams": ["Late stage"],
                    "location": "Hobart",
                }
            ]
        },
        "labels": made.labels,
    }


def test_a_conversation_of_ci_is_read_with_its_latest_analysis() -> None:
    requested_at = dt.datetime(2026, 1, 5, 1, 2, 3, 456, tzinfo=dt.UTC)
    held = insights.Conversation(
        name=f"{PARENT}/conversations/{ID}",
        update_time=requested_at,
        labels={"batch_date": "2026-01-05"},
        latest_analysis=insights.Analysis(
            name=f"{PARENT}/conversations/{ID}/analyses/9",
            request_time=requested_at,
            annotator_selector=insights.AnnotatorSelector(
                run_sentiment_annotator=True,
                phrase_matchers=[f"{PARENT}/phraseMatchers/77@abc"],
            ),
        ),
    )

    read = messages.ci_conversation(held)

    assert read.conversation_id == ID
    assert read.updated_at == requested_at
    assert read.latest_analysis == CiAnalysis(
        f"{PARENT}/conversations/{ID}/analyses/9",
        requested_at,
        Selector(frozenset({"run_sentiment_annotator"}), frozenset({"77"})),
    )
    assert read.payload["labels"] == {"batch_date": "2026-01-05"}


def test_a_conversation_without_analysis_has_none() -> None:
    read = messages.ci_conversation(insights.Conversation(name=f"{PARENT}/conversations/{ID}"))

    assert read.latest_analysis is None


def test_a_selector_turns_off_what_it_does_not_name() -> None:
    selector = Selector(frozenset({"run_entity_annotator"}), frozenset({"2", "1"}))

    made = insights.AnnotatorSelector.pb(messages.annotator_selector(selector, PARENT))

    assert {f.name for f, value in made.ListFields() if value is True} == {"run_entity_annotator"}
    assert list(made.phrase_matchers) == [
        f"{PARENT}/phraseMatchers/1",
        f"{PARENT}/phraseMatchers/2",
    ]


@pytest.mark.parametrize("wanted", read_definitions(SEEDS), ids=lambda d: d.display_name)
def test_a_definition_comes_back_from_ci_with_the_same_content(wanted: MatcherDefinition) -> None:
    message = messages.phrase_matcher(wanted, version_tag(wanted))
    message.name = f"{PARENT}/phraseMatchers/12@rev"
    message.revision_id = "rev"
    message.revision_create_time = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    message.activation_update_time = dt.datetime(2026, 1, 6, tzinfo=dt.UTC)

    read = messages.ci_matcher(message)

    assert content_sha256(read.definition) == content_sha256(wanted)
    assert (read.applied.matcher_id, read.applied.revision_id) == ("12", "rev")
    assert (read.name, read.version_tag) == (f"{PARENT}/phraseMatchers/12", version_tag(wanted))
    assert read.applied.revised_at == dt.datetime(2026, 1, 6, tzinfo=dt.UTC)


def operation(**fields: object) -> operations_pb2.Operation:
    return operations_pb2.Operation(name="operations/5", **fields)


def test_a_running_operation_is_not_done() -> None:
    assert messages.ci_operation(operation()) == CiOperation("operations/5", is_done=False)


def test_a_failed_operation_says_its_code() -> None:
    failed = operation(
        done=True, error=status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message="later")
    )

    assert messages.ci_operation(failed) == CiOperation(
        "operations/5", True, "RESOURCE_EXHAUSTED", "later"
    )


def test_a_bulk_operation_says_counts_and_partial_errors() -> None:
    done = operation(done=True)
    done.metadata.Pack(
        insights.BulkAnalyzeConversationsMetadata.pb(
            insights.BulkAnalyzeConversationsMetadata(
                completed_analyses_count=2,
                failed_analyses_count=1,
                total_requested_analyses_count=3,
                partial_errors=[status_pb2.Status(code=code_pb2.INTERNAL, message="one")],
            )
        )
    )

    assert messages.ci_operation(done) == CiOperation(
        "operations/5",
        True,
        None,
        None,
        {
            "completed_analyses_count": 2,
            "failed_analyses_count": 1,
            "total_requested_analyses_count": 3,
        },
        (("INTERNAL", "one"),),
    )


def test_a_selector_names_revisions_and_topic_models_and_reads_them_back() -> None:
    selector = Selector(
        frozenset({"run_qa_annotator", "run_issue_model_annotator"}),
        scorecard_revisions=frozenset({"card/two", "card/one"}),
        issue_models=frozenset({"7"}),
    )

    sent = messages.annotator_selector(selector, PARENT)
    analysis = insights.Analysis(name="conversations/c/analyses/a", annotator_selector=sent)
    held = insights.Conversation(name="conversations/c", latest_analysis=analysis)

    assert list(sent.qa_config.scorecard_list.qa_scorecard_revisions) == [
        f"{PARENT}/qaScorecards/card/revisions/one",
        f"{PARENT}/qaScorecards/card/revisions/two",
    ]
    assert list(sent.issue_models) == [f"{PARENT}/issueModels/7"]
    latest = messages.ci_conversation(held).latest_analysis
    assert latest is not None
    assert latest.selector == selector
    assert selector_of(messages.rest_json(insights.Analysis.pb(analysis))) == selector


def test_a_selector_without_scorecards_sends_what_it_always_sent() -> None:
    sent = insights.AnnotatorSelector.pb(messages.annotator_selector(Selector(frozenset()), PARENT))

    assert not sent.HasField("qa_config")
    assert sent.SerializeToString() == b""


def test_our_states_of_a_revision_are_those_of_insights() -> None:
    theirs = {state.name for state in insights.QaScorecardRevision.State}

    assert theirs == {state.value for state in RevisionState}
