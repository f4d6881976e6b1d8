"""Create, get, update and delete conversations."""

from __future__ import annotations

import pytest
from google.api_core import exceptions, protobuf_helpers
from google.cloud import contact_center_insights_v1 as insights
from google.protobuf import field_mask_pb2
from insights_service import Service, new_id

TALK = (("AGENT", "Hello, this is Sarah."), ("CUSTOMER", "Hi."), ("AGENT", "How can I help?"))


@pytest.mark.fact("documented", "CreateConversationRequest.conversation_id")
def test_a_conversation_keeps_the_id_that_its_caller_gives(service: Service) -> None:
    conversation_id = new_id()
    created = service.create(service.transcript(*TALK), conversation_id)
    assert created.name.endswith(f"/conversations/{conversation_id}")


@pytest.mark.fact("observed", "public cpp client thread: conversations/7389795193420691064")
def test_a_conversation_without_an_id_gets_a_decimal_one(service: Service) -> None:
    uri = service.transcript(*TALK)
    source = insights.ConversationDataSource(gcs_source=insights.GcsSource(transcript_uri=uri))
    created = service.client.create_conversation(
        parent=service.parent, conversation=insights.Conversation(data_source=source)
    )
    service.made.append(created.name)
    own_id = created.name.rpartition("/")[2]
    assert own_id.isdecimal()
    assert int(own_id) < 2**64


@pytest.mark.parametrize("bad", ["abc", "ABCD", "with_underscore", "a" * 65, "dot.dot", "späte"])
@pytest.mark.fact("documented", "CreateConversationRequest.conversation_id; status assumed")
def test_an_id_outside_the_pattern_is_refused(service: Service, bad: str) -> None:
    uri = service.transcript(*TALK)
    with service.refused(exceptions.InvalidArgument):
        service.create(uri, bad)


@pytest.mark.fact("assumed", "AIP-133: the status of an id that is taken")
def test_an_id_that_is_taken_is_refused_and_changes_nothing(service: Service) -> None:
    first = service.talk(*TALK, agent_id="one")
    own_id = first.name.rpartition("/")[2]
    with service.refused(exceptions.AlreadyExists):
        service.create(service.transcript(*TALK), own_id, agent_id="two")
    assert service.client.get_conversation(name=first.name).agent_id == "one"


@pytest.mark.fact("observed", "real GetConversation reply: agentInfo filled from agentId")
def test_the_agent_id_appears_as_a_human_agent(service: Service) -> None:
    created = service.talk(*TALK, agent_id="agent-7")
    agents = service.client.get_conversation(name=created.name).quality_metadata.agent_info
    assert [(agent.agent_id, agent.agent_type.name) for agent in agents] == [
        ("agent-7", "HUMAN_AGENT")
    ]


@pytest.mark.fact("observed", "two real conversations: 630 s sent, 628 s kept")
def test_the_duration_is_measured_and_never_taken_from_the_caller(service: Service) -> None:
    created = service.talk(*TALK, duration="3600s")
    kept = service.client.get_conversation(name=created.name)
    assert (kept.duration.total_seconds(), kept.turn_count) == (10, 3)


@pytest.mark.fact("documented", "Conversation.medium")
def test_a_conversation_without_medium_is_a_phone_call(service: Service) -> None:
    created = service.talk(*TALK)
    assert created.medium is insights.Conversation.Medium.PHONE_CALL


@pytest.mark.fact("documented", "Conversation.labels: at most 100, 256 characters; status assumed")
def test_too_many_or_too_long_labels_are_refused(service: Service) -> None:
    uri = service.transcript(*TALK)
    for labels in ({f"key{n}": "v" for n in range(101)}, {"key": "v" * 257}, {"k" * 257: "v"}):
        with service.refused(exceptions.InvalidArgument):
            service.create(uri, labels=labels)
    longest = {f"key{n}": "v" * 256 for n in range(100)}
    assert dict(service.create(uri, labels=longest).labels) == longest


@pytest.mark.fact("documented", "ConversationView: only FULL has the transcript")
def test_get_returns_the_transcript_unless_basic_is_asked_for(service: Service) -> None:
    name = service.talk(*TALK).name
    basic = service.client.get_conversation(
        insights.GetConversationRequest(name=name, view="BASIC")
    )
    full = service.client.get_conversation(name=name)
    assert len(basic.transcript.transcript_segments) == 0
    assert [segment.text for segment in full.transcript.transcript_segments] == [
        text for _, text in TALK
    ]


@pytest.mark.fact("assumed", "the status of an unknown resource")
def test_an_unknown_conversation_is_not_found(service: Service) -> None:
    name = f"{service.parent}/conversations/{new_id()}"
    for call in (
        lambda: service.client.get_conversation(name=name),
        lambda: service.client.delete_conversation(name=name),
        lambda: service.client.update_conversation(
            conversation=insights.Conversation(name=name, agent_id="x"),
            update_mask=field_mask_pb2.FieldMask(paths=["agent_id"]),
        ),
        lambda: service.client.create_analysis(parent=name, analysis=insights.Analysis()),
    ):
        with service.refused(exceptions.NotFound):
            call()


@pytest.mark.fact("documented", "UpdateConversationRequest.update_mask")
def test_an_update_changes_what_the_mask_names_and_nothing_else(service: Service) -> None:
    name = service.talk(*TALK, agent_id="one", labels={"a": "1", "b": "2"}).name
    before = service.client.get_conversation(name=name)
    service.client.update_conversation(
        conversation=insights.Conversation(name=name, agent_id="two", labels={"c": "3"}),
        update_mask=field_mask_pb2.FieldMask(paths=["labels"]),
    )
    after = service.client.get_conversation(name=name)
    assert (after.agent_id, dict(after.labels)) == ("one", {"c": "3"})
    assert after.update_time > before.update_time
    assert after.create_time == before.create_time


@pytest.mark.fact("documented", "AIP-203: output-only fields of a request are ignored")
def test_a_mask_of_all_that_is_set_ignores_what_only_the_service_sets(service: Service) -> None:
    name = service.talk(*TALK, agent_id="one", labels={"a": "1"}).name
    service.analyse(name)
    changed = service.client.get_conversation(name=name)
    changed.labels = {"b": "2"}
    changed.quality_metadata.customer_satisfaction_rating = 4
    changed.turn_count = 99
    mask = protobuf_helpers.field_mask(None, insights.Conversation.pb(changed))
    assert {"name", "medium", "turn_count", "data_source.gcs_source.transcript_uri"} < {*mask.paths}
    service.client.update_conversation(conversation=changed, update_mask=mask)
    after = service.client.get_conversation(name=name)
    assert (after.turn_count, after.update_time > changed.update_time) == (len(TALK), True)
    after.turn_count, after.update_time = 99, changed.update_time
    assert after == changed


@pytest.mark.fact("documented", "field mask in google.protobuf.FieldMask: parts of a message")
def test_an_update_may_change_a_part_of_a_message(service: Service) -> None:
    quality = insights.Conversation.QualityMetadata(customer_satisfaction_rating=1, menu_path="m")
    name = service.talk(*TALK, quality_metadata=quality).name
    quality.customer_satisfaction_rating, quality.menu_path = 5, "other"
    service.client.update_conversation(
        conversation=insights.Conversation(name=name, quality_metadata=quality),
        update_mask=field_mask_pb2.FieldMask(
            paths=["quality_metadata.customer_satisfaction_rating"]
        ),
    )
    after = service.client.get_conversation(name=name).quality_metadata
    assert (after.customer_satisfaction_rating, after.menu_path) == (5, "m")


@pytest.mark.fact("assumed", "Google's own tool sends it; no page lists the field")
def test_a_conversation_is_found_by_its_name(service: Service) -> None:
    wanted, other, _ = (service.talk(*TALK).name for _ in range(3))
    request = {"parent": service.parent, "filter": f'name="{wanted}" OR name="{other}"'}
    found = {each.name for each in service.client.list_conversations(request)}
    assert found == {wanted, other}
    with service.refused(exceptions.InvalidArgument):
        service.client.list_conversations({**request, "filter": 'name="nonsense"'})


@pytest.mark.fact("documented", "UpdateConversationRequest.update_mask; status assumed")
@pytest.mark.parametrize("path", ["medium", "data_source.gcs_source", "nonsense", "labels.a"])
def test_an_update_of_a_fixed_field_is_refused(service: Service, path: str) -> None:
    name = service.talk(*TALK).name
    with service.refused(exceptions.InvalidArgument):
        service.client.update_conversation(
            conversation=insights.Conversation(name=name),
            update_mask=field_mask_pb2.FieldMask(paths=[path]),
        )


@pytest.mark.fact("documented", "GcsSource.transcript_uri is immutable; status assumed")
def test_a_transcript_uri_never_changes(service: Service) -> None:
    name = service.talk(*TALK).name
    other = insights.GcsSource(transcript_uri=service.transcript(("AGENT", "Other words.")))
    with service.refused(exceptions.InvalidArgument):
        service.client.update_conversation(
            conversation=insights.Conversation(name=name, data_source={"gcs_source": other}),
            update_mask=field_mask_pb2.FieldMask(paths=["data_source.gcs_source.transcript_uri"]),
        )


@pytest.mark.fact("documented", "ConversationDataSource is a oneof; status assumed")
def test_the_audio_of_another_source_is_refused_and_the_transcript_stays(service: Service) -> None:
    name = service.talk(*TALK).name
    before = service.client.get_conversation(name=name)
    audio = insights.DialogflowSource(audio_uri="gs://some-bucket/a.wav")
    with service.refused(exceptions.InvalidArgument):
        service.client.update_conversation(
            conversation=insights.Conversation(name=name, data_source={"dialogflow_source": audio}),
            update_mask=field_mask_pb2.FieldMask(paths=["data_source.dialogflow_source.audio_uri"]),
        )
    assert service.client.get_conversation(name=name) == before


@pytest.mark.fact("documented", "DeleteConversationRequest.force; status assumed")
def test_a_conversation_with_analyses_is_deleted_only_by_force(service: Service) -> None:
    name = service.talk(*TALK).name
    service.analyse(name)
    with service.refused(exceptions.FailedPrecondition):
        service.client.delete_conversation(name=name)
    service.client.delete_conversation(insights.DeleteConversationRequest(name=name, force=True))
    with service.refused(exceptions.NotFound):
        service.client.get_conversation(name=name)


@pytest.mark.fact("documented", "Conversation.ttl is input only; expire_time comes back")
def test_a_ttl_becomes_an_expiry_time(service: Service) -> None:
    created = service.talk(*TALK, ttl="86400s")
    assert (created.expire_time - created.create_time).total_seconds() == pytest.approx(
        86400, abs=5
    )
    assert "ttl" not in created


@pytest.mark.fact("observed", "real reply: projects/38797000650/… for a project id")
def test_names_carry_the_project_number(service: Service) -> None:
    name = service.talk(*TALK).name
    assert name.split("/")[1].isdecimal()
