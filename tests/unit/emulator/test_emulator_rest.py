"""The REST front: what clients may write, what they get, and that nothing breaks it."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import pytest
import requests
from emulator_cases import BUCKET, TALK, call, create, refusal
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import contact_center_insights_v1 as insights
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.emulator.control_client import Control
from ingest.emulator.errors import ApiError
from ingest.emulator.methods import ALL_METHODS, METHOD_NAMES, Coverage
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.rest import MAX_BODY_BYTES
from ingest.emulator.rest_digest import routes
from ingest.emulator.rest_json import read_message, select, write_message
from ingest.emulator.rpc_pipeline import message_class
from ingest.emulator.testing import ObjectServer

TIMEOUT_SEC = 30
NOT_BY_REST = {"WaitOperation", "DeleteOperation"}
BY_REST = METHOD_NAMES - NOT_BY_REST
KEPT_AS_JSON = {
    f"{collection}.{verb}"
    for collection in ("autoLabelingRules", "dashboards")
    for verb in ("create", "delete", "get", "list", "patch")
}


def filled(path: re.Pattern[str]) -> str:
    """Return a path that a route's pattern takes."""
    inner = re.sub(r"\(\?P<\w+>(.*?)\)(?!\+)", r"\1", path.pattern)
    return re.sub(r"\[\^/:?\]\+", "some-id", inner).replace("\\", "")


@pytest.mark.parametrize("route", routes(), ids=lambda route: route.id)
def test_every_route_reaches_its_method_or_says_its_name(
    ci_emulator: RunningEmulator, route: Any
) -> None:
    url = f"{ci_emulator.rest_endpoint}{filled(route.path)}"
    reply = requests.request(route.verb, url, timeout=TIMEOUT_SEC)
    counted = {name for name in ci_emulator.control.calls() if name in METHOD_NAMES}
    if route.id in KEPT_AS_JSON:
        found = {"list": 200, "create": 200}.get(route.id.rpartition(".")[2], 404)
        assert (reply.status_code, counted) == (found, set())
    elif route.method is None:
        error = reply.json()["error"]
        assert (reply.status_code, error["status"], counted) == (501, "UNIMPLEMENTED", set())
        assert f"Method {route.id} " in error["message"]
    else:
        assert counted == {route.method.name}
        is_unimplemented = route.method.coverage is Coverage.UNIMPLEMENTED
        assert (reply.status_code == 501) == is_unimplemented
        assert reply.status_code != 500


def test_rest_reaches_every_method_that_the_official_client_reaches() -> None:
    assert {route.method.name for route in routes() if route.method} == BY_REST
    assert len(routes()) == 183


def test_the_official_client_reaches_every_method_over_rest(ci_emulator: RunningEmulator) -> None:
    client = insights.ContactCenterInsightsClient(
        transport="rest",
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=ci_emulator.rest_endpoint),
    )
    for method in ALL_METHODS:
        if method.name in NOT_BY_REST:
            continue
        request = _named_request(method.request, ci_emulator.parent)
        with contextlib.suppress(exceptions.GoogleAPICallError):
            getattr(client, method.handler)(request)
    assert {name for name in ci_emulator.control.calls() if name in METHOD_NAMES} == BY_REST


def _named_request(full_name: str, parent: str) -> Any:
    """Return a request whose names are well formed, so that a path can be made of it."""
    plain = message_class(full_name)()
    route = next(r for r in routes() if r.method and r.method.request == full_name)
    ((field, _),) = route.path.groupindex.items()
    value = route.path.fullmatch(
        filled(route.path).replace("projects/some-id/locations/some-id", parent)
    )
    assert value is not None
    target = plain
    if field not in plain.DESCRIPTOR.fields_by_name:
        (target,) = (
            getattr(plain, each.name)
            for each in plain.DESCRIPTOR.fields
            if each.message_type is not None and "name" in each.message_type.fields_by_name
        )
    setattr(target, field, value[field])
    if full_name.startswith("google.longrunning"):
        return {field: value[field]}
    return json_format.MessageToDict(plain, preserving_proto_field_name=True)


def test_a_conversation_as_curl_writes_and_reads_it(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    uri = ci_objects.put_turns(BUCKET, "a.json", TALK)
    body = {
        "data_source": {"gcsSource": {"transcriptUri": uri, "audioUris": ["gs://b/a.wav"]}},
        "qualityMetadata": {"customerSatisfactionRating": "4"},
        "medium": 2,
    }
    status, made = call(ci_emulator, "POST", "/conversations?conversationId=call-1", body)
    name = f"{ci_emulator.parent}/conversations/call-1"
    assert (status, made["name"], made["medium"], made["turnCount"]) == (200, name, "CHAT", 2)
    assert made["dataSource"] == {
        "gcsSource": {"transcriptUri": uri, "audioUris": ["gs://b/a.wav"]}
    }
    assert made["qualityMetadata"] == {"customerSatisfactionRating": 4}
    found = call(
        ci_emulator,
        "GET",
        "/conversations/call-1?view=BASIC&fields=name,dataSource(gcsSource/audioUris)",
    )
    assert found == (
        200, {"name": name, "dataSource": {"gcsSource": {"audioUris": ["gs://b/a.wav"]}}}
    )  # fmt: skip
    for mask in ("agent_id", "agentId", "agentId,name"):
        status, changed = call(
            ci_emulator, "PATCH", f"/conversations/call-1?updateMask={mask}",
            {"name": "ignored", "agentId": mask, "labels": {"not": "in the mask"}},
        )  # fmt: skip
        assert (status, changed["agentId"], "labels" in changed) == (200, mask, False)
    ints = call(
        ci_emulator, "GET", "/conversations/call-1?$alt=json;enum-encoding=int&fields=medium"
    )
    assert ints == (200, {"medium": 2})
    assert call(ci_emulator, "DELETE", "/conversations/call-1") == (200, {})
    assert refusal(call(ci_emulator, "GET", "/conversations/call-1"))[:2] == (404, "NOT_FOUND")


def test_what_a_rest_client_gets_a_grpc_client_gets_too(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    made = create(ci_emulator, ci_objects, "same-one", labels={"a": "b"})
    ci_emulator.client.create_analysis(parent=made.name, analysis=insights.Analysis()).result()
    _, by_rest = call(ci_emulator, "GET", "/conversations/same-one")
    by_grpc = ci_emulator.client.get_conversation(name=made.name)
    assert by_rest == json_format.MessageToDict(insights.Conversation.pb(by_grpc))
    assert "latestAnalysis" in by_rest


def test_an_operation_is_polled_and_its_metadata_named(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    create(ci_emulator, ci_objects, "same-one")
    ci_emulator.control.set_operation_latency("CreateAnalysis", 14)
    ci_emulator.control.freeze()
    _, started = call(ci_emulator, "POST", "/conversations/same-one/analyses", {})
    assert "done" not in started
    assert started["metadata"]["@type"].endswith(".CreateAnalysisOperationMetadata")
    ci_emulator.control.advance(14)
    path = started["name"].removeprefix(ci_emulator.parent)
    status, ended = call(ci_emulator, "GET", path)
    assert (status, ended["done"]) == (200, True)
    assert ended["response"]["@type"].endswith("contactcenterinsights.v1.Analysis")


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/conversations", {"foo": 1}, "Unknown name \"foo\" at 'conversation': Cannot find field"),
        ("/conversations", {"dataSource": {"gcsSource": {"x": 1}}}, "conversation.data_source.gcs"),
        ("/conversations", [], "takes an object"),
        ("/conversations", {"medium": "TELEPATHY"}, "medium"),
        ("/conversations", {"labels": {"a": 1}}, "labels"),
        ("/conversations", {"dataSource": {"gcsSource": {"audioUris": "a"}}}, "takes array"),
        ("/conversations?nonsense=1", {}, 'Unknown name "nonsense"'),
        ("/conversations?conversation.agentId.x=1", {}, "Unknown name"),
        ("/conversations?updateMask=a&updateMask.paths=b", {}, "Unknown name"),
        ("/conversations:bulkAnalyze", {"analysisPercentage": "many"}, "analysisPercentage"),
        ("/conversations:bulkAnalyze", [1], "root must be an object"),
        ("/phraseMatchers", {"phraseMatchRuleGroups": {}}, "takes a list"),
        ("/conversations?fields=a(b", {}, "Invalid field selection"),
    ],
)
def test_a_bad_request_says_what_and_where(
    ci_emulator: RunningEmulator, path: str, body: Any, says: str
) -> None:
    answer = call(ci_emulator, "POST", path, body)
    status, code, message = refusal(answer)
    assert (status, code) == (400, "INVALID_ARGUMENT")
    assert says in message
    (detail,) = answer[1]["error"]["details"]
    assert detail["@type"].endswith("google.rpc.BadRequest")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "Invalid JSON payload received"),
        (b"\xff\xfe", "Invalid JSON payload received"),
        (b"[" * 5000 + b"]" * 5000, "Invalid JSON payload received"),
        (b'{"labels":' * 300 + b"1" + b"}" * 300, "Invalid JSON payload received"),
        (b" " * (MAX_BODY_BYTES + 1), "payload size exceeds the limit"),
    ],
    ids=["cut off", "no text", "deep list", "deep object", "too large"],
)
def test_a_body_that_is_no_request_is_refused(
    ci_emulator: RunningEmulator, body: bytes, says: str
) -> None:
    url = f"{ci_emulator.rest_endpoint}/v1/{ci_emulator.parent}/conversations"
    reply = requests.post(url, data=body, timeout=TIMEOUT_SEC)
    assert (reply.status_code, reply.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert says in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("PUT", "/conversations"),
        ("GET", "/nonsense"),
        ("POST", "/conversations/a"),
        ("GET", ":x"),
        ("OPTIONS", "/conversations"),
        ("PROPFIND", "/conversations"),
    ],
)
def test_a_route_that_there_is_not_is_not_found(
    ci_emulator: RunningEmulator, verb: str, path: str
) -> None:
    assert refusal(call(ci_emulator, verb, path))[:2] == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/dashboards?dashboardId=deep", "rootContainer"),
        ("/conversations?conversationId=deep", "correlationInfo"),
        ("/phraseMatchers", "phraseMatchRuleGroups"),
    ],
)
@pytest.mark.parametrize("levels", [100, 200, 1000])
def test_json_that_no_reply_could_hold_is_refused_and_nothing_is_kept(
    ci_emulator: RunningEmulator, path: str, field: str, levels: int
) -> None:
    body = f'{{"{field}":' + '{"widgets":' * levels + "1" + "}" * (levels + 1)
    url = f"{ci_emulator.rest_endpoint}/v1/{ci_emulator.parent}"
    reply = requests.post(f"{url}{path}", data=body, timeout=TIMEOUT_SEC)
    assert (reply.status_code, reply.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert call(ci_emulator, "GET", path.partition("?")[0]) == (200, {})


def test_a_refusal_names_the_field_in_its_details(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    name = create(ci_emulator, ci_objects, "call-1").name
    answers = [
        call(ci_emulator, "PATCH", "/conversations/call-1?updateMask=nonsense,*", {}),
        call(ci_emulator, "PATCH", "/conversations/call-1?updateMask=agentId", {"medium": "X"}),
        call(ci_emulator, "GET", "/conversations?orderBy=nonsense"),
        call(ci_emulator, "PATCH", "/settings", {}),
    ]
    found = [content["error"]["details"][0]["fieldViolations"][0] for _, content in answers]
    assert [refusal(answer)[:2] for answer in answers] == [(400, "INVALID_ARGUMENT")] * 4
    assert [each["field"] for each in found] == [
        "update_mask", "conversation.medium", "order_by", "update_mask"
    ]  # fmt: skip
    assert [each["description"] for each in found] == [refusal(answer)[2] for answer in answers]
    with pytest.raises(exceptions.InvalidArgument) as caught:
        ci_emulator.client.get_conversation(name=f"{name}/more")
    (detail,) = caught.value.details
    assert [each.field for each in detail.field_violations] == ["name"]


def test_a_refusal_carries_its_details(ci_emulator: RunningEmulator) -> None:
    fault = {"method": "ListConversations", "nth": 1, "status": "RESOURCE_EXHAUSTED"}
    ci_emulator.control.set_faults({"faults": [{**fault, "retry_after": "30s"}]})
    answer = call(ci_emulator, "GET", "/conversations")
    assert refusal(answer)[:2] == (429, "RESOURCE_EXHAUSTED")
    assert answer[1]["error"]["details"] == [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s"}
    ]


def test_a_scope_is_a_header(ci_emulator: RunningEmulator) -> None:
    with Control(ci_emulator.address, "rest") as control:
        control.set_quotas({"ListConversations": 0})
        scoped = {"X-Emulator-Scope": "rest"}
        assert call(ci_emulator, "GET", "/conversations", headers=scoped)[0] == 429
        assert call(ci_emulator, "GET", "/conversations") == (200, {})


def test_a_long_get_may_come_as_a_post(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    create(ci_emulator, ci_objects, "same-one")
    url = f"{ci_emulator.rest_endpoint}/v1/{ci_emulator.parent}/conversations"
    reply = requests.post(
        url, data={"filter": 'medium="PHONE_CALL"', "fields": "conversations/name"},
        headers={"X-HTTP-Method-Override": "GET"}, timeout=TIMEOUT_SEC,
    )  # fmt: skip
    name = f"{ci_emulator.parent}/conversations/same-one"
    assert reply.json() == {"conversations": [{"name": name}]}


def test_a_client_that_needs_a_token_gets_one(ci_emulator: RunningEmulator) -> None:
    reply = requests.post(f"{ci_emulator.rest_endpoint}/token", timeout=TIMEOUT_SEC)
    assert reply.json() == {"access_token": "emulated", "expires_in": 3600, "token_type": "Bearer"}


def test_an_unknown_export_version_is_refused(ci_emulator: RunningEmulator) -> None:
    destination = {"dataset": "d", "table": "t"}
    body = {"bigQueryDestination": destination, "exportSchemaVersion": "EXPORT_V99"}
    answer = refusal(call(ci_emulator, "POST", "/insightsdata:export", body))
    assert answer[:2] == (400, "INVALID_ARGUMENT")
    assert "EXPORT_V3 to EXPORT_V18" in answer[2]


def test_a_selection_names_parts() -> None:
    content = {"a": [{"b": 1, "c": 2}], "d": {"e": {"f": 3, "g": 4}}, "h": 5}
    chosen = [select(content, fields) for fields in ("*", "h", "a(b)", "a/c,d/e(f)", "d/e/g , h")]
    assert chosen == [
        content,
        {"h": 5},
        {"a": [{"b": 1}]},
        {"a": [{"c": 2}], "d": {"e": {"f": 3}}},
        {"d": {"e": {"g": 4}}, "h": 5},
    ]


KEYS = st.sampled_from(
    ["agentId", "labels", "medium", "dataSource", "gcsSource", "startTime", "ttl", "transcript"]
    + ["qualityMetadata", "agentInfo", "runtimeAnnotations", "correlationInfo", "x", "name"]
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300)
@given(st.dictionaries(KEYS, JSON_VALUES, max_size=4))
def test_any_json_is_read_or_refused(content: dict[str, Any]) -> None:
    message = insights.Conversation.pb()()
    with contextlib.suppress(ApiError):
        read_message(json.loads(json.dumps(content)), message)
        message.SerializeToString()


@given(
    st.builds(
        insights.Conversation,
        agent_id=st.text(max_size=5),
        labels=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
        turn_count=st.integers(-(2**31), 2**31 - 1),
        medium=st.sampled_from(list(insights.Conversation.Medium)),
    )
)
def test_what_is_written_is_read_as_the_same(conversation: insights.Conversation) -> None:
    plain = insights.Conversation.pb(conversation)
    again = insights.Conversation.pb()()
    read_message(write_message(plain, plain.SerializeToString(), enums_as_ints=False), again)
    assert again == plain
