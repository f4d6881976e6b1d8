"""Lists: order, pages, views and filters."""

from __future__ import annotations

import uuid

import pytest
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from insights_service import Service


@pytest.fixture
def tag() -> str:
    """A label value that marks the conversations of one case."""
    return uuid.uuid4().hex


def listed(service: Service, **request: object) -> list[str]:
    found = service.client.list_conversations(
        insights.ListConversationsRequest(parent=service.parent, **request)
    )
    return [conversation.name for conversation in found]


def talk(
    service: Service,
    tag: str,
    turns: int = 1,
    labels: dict[str, str] | None = None,
    **fields: object,
) -> str:
    lines = [("AGENT", f"Line {number}.") for number in range(turns)]
    return service.talk(*lines, labels={"case": tag, **(labels or {})}, **fields).name


@pytest.mark.fact("documented", "ListConversationsRequest.order_by")
def test_the_newest_come_first_unless_another_order_is_asked_for(
    service: Service, tag: str
) -> None:
    one, two, three = talk(service, tag, 3), talk(service, tag, 1), talk(service, tag, 2)
    only = f'labels.case="{tag}"'
    assert listed(service, filter=only) == [three, two, one]
    assert listed(service, filter=only, order_by="create_time") == [one, two, three]
    assert listed(service, filter=only, order_by="turn_count") == [two, three, one]
    assert listed(service, filter=only, order_by="turn_count asc") == [two, three, one]
    assert listed(service, filter=only, order_by="duration desc") == [one, three, two]


@pytest.mark.fact("documented", "order_by's fields; status assumed")
@pytest.mark.parametrize(
    "order", ["name", "create_time up", "create_time, duration", "turn_count asc x"]
)
def test_an_unknown_order_is_refused(service: Service, order: str) -> None:
    with service.refused(exceptions.InvalidArgument):
        listed(service, order_by=order)


@pytest.mark.fact("documented", "page_size from 0 to 100,000; status assumed")
@pytest.mark.parametrize("size", [-1, 100_001])
def test_a_page_size_out_of_range_is_refused(service: Service, size: int) -> None:
    with service.refused(exceptions.InvalidArgument):
        listed(service, page_size=size)


@pytest.mark.parametrize("order", ["", "create_time", "turn_count", "start_time desc"])
@pytest.mark.fact("documented", "page_token; every conversation once inferred")
def test_pages_hold_every_conversation_once(service: Service, tag: str, order: str) -> None:
    made = [talk(service, tag) for _ in range(5)]
    only = f'labels.case="{tag}"'
    request = insights.ListConversationsRequest(
        parent=service.parent, filter=only, page_size=2, order_by=order
    )
    pages = [[c.name for c in page.conversations]
             for page in service.client.list_conversations(request).pages]  # fmt: skip
    assert sorted(name for page in pages for name in page) == sorted(made)
    assert all(len(page) <= 2 for page in pages)


@pytest.mark.fact("assumed", "AIP-158: a token belongs to its request")
def test_a_page_token_of_another_request_is_refused(service: Service, tag: str) -> None:
    for _ in range(2):
        talk(service, tag)
    request = insights.ListConversationsRequest(parent=service.parent, page_size=1)
    token = next(iter(service.client.list_conversations(request).pages)).next_page_token
    for wrong in (f"{token}x", "nonsense", "AAAA"):
        with service.refused(exceptions.InvalidArgument):
            listed(service, page_size=1, page_token=wrong)
    with service.refused(exceptions.InvalidArgument):
        listed(service, page_size=1, page_token=token, order_by="duration")


@pytest.mark.fact("documented", "ConversationView: lists are BASIC and drop only the transcript")
def test_a_list_has_analyses_and_no_transcript_unless_full(service: Service, tag: str) -> None:
    name = talk(service, tag)
    service.analyse(name)
    request = {"parent": service.parent, "filter": f'labels.case="{tag}"'}
    (basic,) = service.client.list_conversations(request)
    (full,) = service.client.list_conversations({**request, "view": "FULL"})
    assert basic.latest_analysis == full.latest_analysis != insights.Analysis()
    assert len(basic.transcript.transcript_segments) == 0
    assert len(full.transcript.transcript_segments) == 1


FILTERS = {
    'agent_id="a-1"': {"one"},
    'agent_id!="a-1"': {"two"},
    'quality_metadata.agent_info.agent_id:"a-1"': {"one"},
    'quality_metadata.agent_info.teams:"blue"': {"one"},
    'agent_team="blue"': {"one"},
    'agent_team="red"': set(),
    'quality_metadata.agent_info.agent_type:"HUMAN_AGENT"': {"one"},
    'latest_analysis:"*"': {"one"},
    '-latest_analysis:"*"': {"two"},
    'NOT latest_analysis:"*"': {"two"},
    'latest_analysis.create_time>"2020-12-31T16:00:10-08:00"': {"one"},
    'create_time>"2020-01-01T00:00:00Z"': {"one", "two"},
    'create_time<"2020-01-01T00:00:00Z"': set(),
    'start_time>="2025-12-27T23:00:00Z"': {"one"},
    'start_time<"2025-12-27T23:00:00Z"': set(),
    'medium="CHAT"': {"two"},
    'medium="PHONE_CALL"': {"one"},
    'labels:"queue"': {"one"},
    'labels.queue="q 1"': {"one"},
    'labels.queue:"q 1"': {"one"},
    'labels.queue!="q 1"': {"two"},
    'quality_metadata.customer_satisfaction_rating>"1"': {"one"},
    'duration<="4s"': {"two"},
    'duration>"4.5s"': {"one"},
    'turn_count>="2"': {"one"},
    'turn_count="1" OR agent_id="a-1"': {"one", "two"},
    'medium="CHAT" AND turn_count="1"': {"two"},
    'medium="CHAT" turn_count="2"': set(),
    '(medium="CHAT" OR medium="PHONE_CALL") -labels:"queue"': {"two"},
    'turn_count="1" medium="PHONE_CALL" OR medium="CHAT"': {"two"},
    'data_source.dialogflow_source.dialogflow_conversation="x"': set(),
}


@pytest.mark.parametrize("term", FILTERS)
@pytest.mark.fact("documented", "filtering page; precedence of OR from AIP-160")
def test_a_filter_selects(service: Service, tag: str, term: str) -> None:
    agent = {"agent_id": "a-1", "teams": ["blue"]}
    one = talk(
        service, tag, 2, agent_id="a-1", start_time="2025-12-28T09:00:00+10:00",
        quality_metadata={"agent_info": [agent], "customer_satisfaction_rating": 4},
        labels={"queue": "q 1"},
    )  # fmt: skip
    two = talk(service, tag, medium="CHAT")
    service.analyse(one, insights.AnnotatorSelector(run_sentiment_annotator=True))
    names = {one: "one", two: "two"}
    found = listed(service, filter=f'labels.case="{tag}" AND ({term})')
    assert {names[name] for name in found} == FILTERS[term]


@pytest.mark.parametrize(
    ("term", "position"),
    [
        ('colour="red"', 1),
        ("turn_count=3", 12),
        ('medium="CHAT" AND', 15),
        ('medium="CHAT" )', 15),
        ('turn_count>"many"', 11),
        ('create_time>"yesterday"', 12),
        ('agent_id>"a"', 9),
        ('medium="CHAT', 8),
    ],
)
@pytest.mark.fact("assumed", "the status of a bad filter, and that it names the position")
def test_a_bad_filter_is_refused_with_its_position(
    service: Service, term: str, position: int
) -> None:
    with service.refused(exceptions.InvalidArgument, match=f"position {position}:"):
        listed(service, filter=term)


@pytest.mark.fact("documented", "filtering page: custom highlights")
def test_a_filter_finds_conversations_by_phrase_matcher(service: Service, tag: str) -> None:
    matcher = service.matcher("Line 1")
    hit, miss = talk(service, tag, 2), talk(service, tag)
    for name in (hit, miss):
        service.analyse(name)
    path = "latest_analysis.analysis_result.call_analysis_metadata.phrase_matchers.id"
    term = f'labels.case="{tag}" {path}:"{matcher.name.rpartition("/")[2]}"'
    assert listed(service, filter=term) == [hit]
