"""Bulk work, uploads, ingestion, settings, statistics, and operations themselves."""

from __future__ import annotations

import uuid

import pytest
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from google.longrunning import operations_pb2
from google.protobuf import field_mask_pb2
from insights_service import TIMEOUT_SEC, Service, new_id

TALK = (("AGENT", "Hello."), ("CUSTOMER", "I lost my job."))


def source(uri: str) -> insights.ConversationDataSource:
    return insights.ConversationDataSource(gcs_source=insights.GcsSource(transcript_uri=uri))


@pytest.mark.fact("documented", "BulkAnalyzeConversations request, metadata and response")
def test_bulk_analysis_covers_a_share_of_what_matches(service: Service) -> None:
    tag = uuid.uuid4().hex
    names = [service.talk(*TALK, labels={"case": tag}).name for _ in range(4)]
    operation = service.client.bulk_analyze_conversations(
        insights.BulkAnalyzeConversationsRequest(
            parent=service.parent, filter=f'labels.case="{tag}"', analysis_percentage=50
        )
    )
    response = operation.result(timeout=TIMEOUT_SEC)
    metadata = operation.metadata
    assert (response.successful_analysis_count, response.failed_analysis_count) == (2, 0)
    assert metadata.total_requested_analyses_count == metadata.completed_analyses_count == 2
    analysed = [
        name for name in names if "latest_analysis" in service.client.get_conversation(name=name)
    ]
    assert len(analysed) == 2


@pytest.mark.fact("documented", "analysis_percentage from 0 to 100; status assumed")
@pytest.mark.parametrize("percentage", [-1, 100.5])
def test_a_share_out_of_range_is_refused(service: Service, percentage: float) -> None:
    request = insights.BulkAnalyzeConversationsRequest(
        parent=service.parent, filter='medium="CHAT"', analysis_percentage=percentage
    )
    with service.refused(exceptions.InvalidArgument):
        service.client.bulk_analyze_conversations(request)


@pytest.mark.fact("documented", "BulkDeleteConversationsRequest.force; partial errors assumed")
def test_bulk_deletion_spares_conversations_with_analyses_unless_forced(service: Service) -> None:
    tag = uuid.uuid4().hex
    plain = service.talk(*TALK, labels={"case": tag}).name
    analysed = service.talk(*TALK, labels={"case": tag}).name
    service.analyse(analysed)
    request = insights.BulkDeleteConversationsRequest(
        parent=service.parent, filter=f'labels.case="{tag}"'
    )
    operation = service.client.bulk_delete_conversations(request)
    operation.result(timeout=TIMEOUT_SEC)
    assert len(operation.metadata.partial_errors) == 1
    with service.refused(exceptions.NotFound):
        service.client.get_conversation(name=plain)
    request.force = True
    service.client.bulk_delete_conversations(request).result(timeout=TIMEOUT_SEC)
    with service.refused(exceptions.NotFound):
        service.client.get_conversation(name=analysed)


@pytest.mark.fact("documented", "UploadConversation returns a conversation by an operation")
def test_an_upload_makes_a_conversation(service: Service) -> None:
    request = insights.UploadConversationRequest(
        parent=service.parent,
        conversation_id=new_id(),
        conversation=insights.Conversation(data_source=source(service.transcript(*TALK))),
    )
    operation = service.client.upload_conversation(request)
    made = operation.result(timeout=TIMEOUT_SEC)
    service.made.append(made.name)
    assert made.name.rpartition("/")[2] == request.conversation_id
    assert operation.metadata.request == request
    assert service.client.get_conversation(name=made.name).turn_count == 2


@pytest.mark.fact("assumed", "the conflict may come with the call or with the operation")
def test_an_upload_of_a_taken_id_is_refused(service: Service) -> None:
    taken = service.talk(*TALK)
    with service.refused(exceptions.AlreadyExists):
        service.client.upload_conversation(
            insights.UploadConversationRequest(
                parent=service.parent,
                conversation_id=taken.name.rpartition("/")[2],
                conversation=insights.Conversation(data_source=taken.data_source),
            )
        ).result(timeout=TIMEOUT_SEC)


@pytest.mark.fact("documented", "ingestion skips transcript URIs that it knows; stats in metadata")
def test_ingestion_takes_each_object_once_and_reports_failures(service: Service) -> None:
    folder = f"ingest-{uuid.uuid4()}"
    good = b'{"entries":[{"text":"Hi.","role":"AGENT","user_id":2,"start_timestamp_usec":"1"}]}'
    for name, body in (("a.json", good), ("b.json", good), ("c.json", b"no")):
        uri = service.upload(f"{folder}/{name}", body)
    request = insights.IngestConversationsRequest(
        parent=service.parent,
        gcs_source={"bucket_uri": uri.removesuffix("c.json")},
        transcript_object_config={"medium": "CHAT"},
        conversation_config={"agent_id": folder},
    )
    counts = []
    for _ in range(2):
        operation = service.client.ingest_conversations(request)
        operation.result(timeout=TIMEOUT_SEC)
        stats = operation.metadata.ingest_conversations_stats
        counts.append(
            (
                stats.processed_object_count,
                stats.duplicates_skipped_count,
                stats.successful_ingest_count,
                stats.failed_ingest_count,
                len(operation.metadata.partial_errors),
            )
        )
    made = list(
        service.client.list_conversations(
            {"parent": service.parent, "filter": f'agent_id="{folder}"'}
        )
    )
    service.made.extend(conversation.name for conversation in made)
    assert counts == [(3, 0, 2, 1, 1), (3, 2, 0, 1, 1)]
    assert [conversation.medium.name for conversation in made] == ["CHAT", "CHAT"]


@pytest.mark.fact("documented", "required fields of IngestConversationsRequest; status assumed")
def test_an_incomplete_ingestion_is_refused(service: Service) -> None:
    good = {
        "parent": service.parent,
        "gcs_source": {"bucket_uri": "gs://some-bucket/folder/"},
        "transcript_object_config": {"medium": "CHAT"},
    }
    same = {"bucket_uri": "gs://some-bucket", "metadata_bucket_uri": "gs://some-bucket/metadata"}
    for fault in (
        {"transcript_object_config": {}},
        {"gcs_source": {"bucket_uri": "some-bucket"}},
        {"gcs_source": same},
        {"conversation_config": {"agent_channel": 3}},
        {"sample_size": 0},
    ):
        with service.refused(exceptions.InvalidArgument):
            service.client.ingest_conversations({**good, **fault})


@pytest.mark.fact("documented", "Settings.language_code; that a fresh location has some inferred")
def test_settings_exist_and_change_by_mask(service: Service) -> None:
    name = f"{service.parent}/settings"
    before = service.client.get_settings(name=name)
    assert before.language_code == "en-US"
    changed = service.client.update_settings(
        settings=insights.Settings(name=name, conversation_ttl="86400s", language_code="de-DE"),
        update_mask=field_mask_pb2.FieldMask(paths=["conversation_ttl"]),
    )
    try:
        assert (changed.conversation_ttl.days, changed.language_code) == (1, "en-US")
        created = service.talk(*TALK)
        assert created.expire_time > created.create_time
    finally:
        service.client.update_settings(
            settings=before, update_mask=field_mask_pb2.FieldMask(paths=["conversation_ttl"])
        )
    assert "expire_time" not in service.talk(*TALK)


@pytest.mark.fact("documented", "UpdateSettingsRequest.update_mask is required; status assumed")
def test_settings_without_mask_or_with_a_wrong_value_are_refused(service: Service) -> None:
    name = f"{service.parent}/settings"
    for settings, paths in (
        ({}, []),
        ({}, ["nonsense"]),
        ({"pubsub_notification_settings": {"birthday": "t"}}, ["pubsub_notification_settings"]),
        (
            {"analysis_config": {"upload_conversation_analysis_percentage": 101}},
            ["analysis_config"],
        ),
    ):
        with service.refused(exceptions.InvalidArgument):
            service.client.update_settings(
                settings=insights.Settings(name=name, **settings),
                update_mask=field_mask_pb2.FieldMask(paths=paths),
            )


@pytest.mark.fact("documented", "CalculateStatsResponse; a match counted as an annotation assumed")
def test_statistics_count_conversations_and_matches(service: Service) -> None:
    tag = uuid.uuid4().hex
    matcher = service.matcher("lost my job")
    for _ in range(2):
        service.analyse(service.talk(*TALK, labels={"case": tag}).name)
    stats = service.client.calculate_stats(
        insights.CalculateStatsRequest(location=service.parent, filter=f'labels.case="{tag}"')
    )
    assert (stats.conversation_count, stats.average_turn_count) == (2, 2)
    assert stats.average_duration.total_seconds() == 5
    assert stats.custom_highlighter_matches[matcher.name] == 2
    points = stats.conversation_count_time_series.points
    assert sum(point.conversation_count for point in points) == 2


@pytest.mark.fact("observed", "client probe: metadata must be in every reply")
def test_an_operation_is_found_again_by_name(service: Service) -> None:
    name = service.talk(*TALK).name
    started = service.client.create_analysis(parent=name, analysis=insights.Analysis())
    analysis = started.result(timeout=TIMEOUT_SEC)
    request = operations_pb2.GetOperationRequest(name=started.operation.name)
    operation = service.client.get_operation(request)
    unpacked, metadata = insights.Analysis.pb()(), insights.CreateAnalysisOperationMetadata.pb()()
    assert operation.done
    assert operation.response.Unpack(unpacked)
    assert operation.metadata.Unpack(metadata)
    assert unpacked.name == analysis.name
    assert metadata.conversation == name


@pytest.mark.fact("documented", "filtering page: operations")
def test_operations_are_listed_by_filter(service: Service) -> None:
    name = service.talk(*TALK).name
    started = service.client.create_analysis(parent=name, analysis=insights.Analysis())
    started.result(timeout=TIMEOUT_SEC)
    own_id = name.rpartition("/")[2]
    for term, expected in (
        (f'metadata.conversation_id="{own_id}"', [started.operation.name]),
        (f'metadata.conversation_id="{own_id}" done="true"', [started.operation.name]),
        (
            f'metadata.conversation_id="{own_id}" metadata.operation_type="CreateAnalysis"'
            ' status_code="0" metadata.create_time>"2020-01-01T00:00:00Z"',
            [started.operation.name],
        ),
        (f'metadata.conversation_id="{own_id}" done="false"', []),
        (f'metadata.conversation_id="{own_id}" status_code!="OK"', []),
    ):
        request = operations_pb2.ListOperationsRequest(name=service.parent, filter=term)
        found = service.client.list_operations(request).operations
        assert [operation.name for operation in found] == expected


@pytest.mark.fact("assumed", "the status of an unknown operation")
def test_an_unknown_operation_is_not_found(service: Service) -> None:
    name = f"{service.parent}/operations/1"
    with service.refused(exceptions.NotFound):
        service.client.get_operation(operations_pb2.GetOperationRequest(name=name))
    with service.refused(exceptions.NotFound):
        service.client.cancel_operation(operations_pb2.CancelOperationRequest(name=name))
