"""Random messages and filters never break the server or its store."""

from __future__ import annotations

import base64
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from emulator_cases import create, own_emulator
from google.api_core import exceptions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.emulator.errors import ApiError
from ingest.emulator.filters import CONVERSATION_FIELDS, OPERATION_FIELDS, compile_filter
from ingest.emulator.methods import ALL_METHODS, Coverage
from ingest.emulator.pytest_plugin import PROJECT_NUMBER, RunningEmulator
from ingest.emulator.request_fields import encode_token
from ingest.emulator.rpc_pipeline import message_class
from ingest.emulator.testing import ObjectServer


def token(content: str) -> str:
    """Return the page token of this content."""
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


PARENT = f"projects/{PROJECT_NUMBER}/locations/us-central1"
METHODS = [
    method
    for method in ALL_METHODS
    if method.coverage is not Coverage.UNIMPLEMENTED
    and method.name not in ("WaitOperation", "ExportInsightsData")
]
TEXTS = [
    "", PARENT, f"{PARENT}/conversations/known-one", f"{PARENT}/settings",
    f"{PARENT}/conversations/known-one/analyses/1", f"{PARENT}/phraseMatchers/1@2",
    f"{PARENT}/operations/1", "gs://test-bucket/known-one.json", "known-one", "*", "labels",
    'labels.a="b"', '-latest_analysis:"*"', "turn_count desc", "\x00", "a" * 300, "ü\u2028",
    "ü" * 20_000, "9" * 5_000,
]  # fmt: skip
KNOWN = f"{PARENT}/conversations/known-one"
MODEL = f"{PARENT}/issueModels/known"
FITTING = {
    "parent": [PARENT, PARENT, KNOWN, MODEL],
    "location": [PARENT],
    "name": [
        KNOWN, f"{PARENT}/settings", PARENT, f"{PARENT}/operations/1", MODEL, f"{MODEL}/issues/1"
    ],
    "issue_model": [MODEL],
    "object_uri": ["gs://test-bucket/model.json"],
    "transcript_uri": ["gs://test-bucket/known-one.json"],
    "filter": [
        "", 'duration<="99999999999999999999s"', f'duration<="{"9" * 400}s"',
        f'status_code="{"9" * 20}"', 'status_code="²"', 'turn_count="999999999999999"',
        'create_time>="0001-01-01T00:00:00+23:59" create_time<"9999-12-31T00:00:00Z"',
    ],
    "page_token": ["", token("[" * 100_000), token("[1]"), token("{}")],
    "paths": ["*", "ttl", "expire_time", "start_time", "conversation_ttl", "labels"],
    "order_by": ["", "turn_count desc"],
}  # fmt: skip
"""Values that lead further than most, by field name; they are drawn three times out of four."""
NUMBERS = [0, 1, -1, 2, 100, 100_000, 2**31 - 1, -(2**31)]
LARGE_NUMBERS = [*NUMBERS, 2**63 - 1, -(2**63), 2**62, 253_402_300_800, 315_576_000_001]
ENUM_NUMBERS = [0, 1, 2, 3, 4, 5, 99, -1, 2**31 - 1]
WORDS = [
    "AND", "OR", "NOT", "-", "(", ")", '"a"', '"', ":", "=", ">", "<=", "!=",
    '"2025-01-01T00:00:00Z"', '"20s"', '"1"', '"*"', "\x00", "é", f'"{"9" * 20}s"', '"²"',
    f'"{"9" * 400}"', f'"-{"9" * 15}.{"9" * 6}"', '"0001-01-01T00:00:00+23:59"', "status_code",
    *CONVERSATION_FIELDS.fields, "labels.x",
]  # fmt: skip


@st.composite
def messages(draw: st.DrawFn, descriptor: Any, depth: int = 3) -> Any:
    """Draw a message of the type, its fields filled or left out at random."""
    message = message_class(descriptor.full_name)()
    for field in descriptor.fields:
        if draw(st.integers(0, 2)) == 0:
            continue
        _fill(draw, message, field, depth)
    return message


def _fill(draw: st.DrawFn, message: Any, field: Any, depth: int) -> None:
    if field.message_type is not None:
        is_map = field.message_type.GetOptions().map_entry
        if depth == 0 or is_map:
            if is_map and field.message_type.fields_by_name["value"].type == field.TYPE_STRING:
                getattr(message, field.name)[draw(st.sampled_from(TEXTS))] = "value"
            return
        value = draw(messages(field.message_type, depth - 1))
        target = getattr(message, field.name)
        if field.is_repeated:
            target.append(value)
        else:
            target.CopyFrom(value)
        return
    value = _scalar(draw, field)
    if field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


def _scalar(draw: st.DrawFn, field: Any) -> Any:
    if field.type == field.TYPE_STRING:
        if field.name in FITTING and draw(st.integers(0, 3)):
            return draw(st.sampled_from(FITTING[field.name]))
        return draw(st.sampled_from(TEXTS))
    if field.type == field.TYPE_BYTES:
        return b"\xff"
    if field.type == field.TYPE_BOOL:
        return draw(st.booleans())
    if field.type == field.TYPE_ENUM:
        return draw(st.sampled_from(ENUM_NUMBERS))
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return draw(st.sampled_from([0.0, 1.0, -1.0, 50.0, float("nan"), float("inf")]))
    large = field.type in (field.TYPE_INT64, field.TYPE_SINT64, field.TYPE_UINT64)
    number = draw(st.sampled_from(LARGE_NUMBERS if large else NUMBERS))
    unsigned = field.type in (field.TYPE_UINT32, field.TYPE_UINT64)
    return abs(number) if unsigned else number


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningEmulator, Path]]:
    folder = tmp_path_factory.mktemp("fuzz")
    with ObjectServer() as objects, own_emulator(folder, objects) as emulator:
        create(emulator, objects, "known-one", labels={"a": "b"})
        issue = {"name": f"{MODEL}/issues/1", "displayName": "my job"}
        objects.put("test-bucket", "model.json", json.dumps({"issues": [issue]}).encode())
        source = {"object_uri": "gs://test-bucket/model.json"}
        emulator.client.import_issue_model({"parent": PARENT, "gcs_source": source})
        yield emulator, folder / "insights.sqlite3"


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@given(data=st.data())
def test_random_messages_get_an_answer_and_leave_the_store_whole(
    fuzzed: tuple[RunningEmulator, Path], method: Any, data: st.DataObject
) -> None:
    emulator, store = fuzzed
    request_class = message_class(method.request)
    request = data.draw(messages(request_class.DESCRIPTOR))
    with grpc.insecure_channel(emulator.address) as channel:
        call = channel.unary_unary(method.path)
        try:
            message_class(method.response).FromString(call(request.SerializeToString(), timeout=20))
            status = grpc.StatusCode.OK
        except grpc.RpcError as error:
            status = error.code()
    assert status not in (
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNAVAILABLE,
    )
    emulator.client.list_conversations({"parent": PARENT, "view": "FULL"})
    with sqlite3.connect(store) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        kept = connection.execute("select group_concat(seq) from bodies").fetchone()
        known = connection.execute("select group_concat(seq) from conversations").fetchone()
        assert kept == known
    connection.close()


INTEGERS = st.sampled_from([*LARGE_NUMBERS, 2**63, -(2**63) - 1, 10**5_000])
PARTS = st.one_of(
    INTEGERS,
    st.booleans(), st.none(), st.text(max_size=3), st.floats(),
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    position=st.lists(INTEGERS, min_size=2, max_size=2) | st.lists(PARTS, max_size=3),
    edits=st.just([])
    | st.lists(st.tuples(st.integers(0, 60), st.characters(max_codepoint=300)), max_size=2),
)
def test_mutated_page_tokens_are_answered_or_refused(
    fuzzed: tuple[RunningEmulator, Path],
    position: list[object],
    edits: list[tuple[int, str]],
) -> None:
    emulator, _ = fuzzed
    request = {"parent": PARENT, "page_size": 1}
    true = encode_token((PARENT, "", ""), ())
    fingerprint = json.loads(base64.urlsafe_b64decode(true + "=" * (-len(true) % 4)))[0]
    sys.set_int_max_str_digits(0)
    mutated = token(json.dumps([fingerprint, *position]))
    sys.set_int_max_str_digits(sys.int_info.default_max_str_digits)
    for place, character in edits:
        mutated = mutated[:place] + character + mutated[place + 1 :]
    try:
        list(emulator.client.list_conversations({**request, "page_token": mutated}).pages)
    except exceptions.InvalidArgument as error:
        assert "page_token" in error.message  # noqa: PT017 (both ends are right)


@given(st.lists(st.sampled_from(WORDS), max_size=12), st.sampled_from(["", " "]))
def test_random_filters_are_understood_or_refused(words: list[str], joint: str) -> None:
    for vocabulary in (CONVERSATION_FIELDS, OPERATION_FIELDS):
        try:
            condition = compile_filter(joint.join(words), vocabulary)
        except ApiError as error:
            seen = error.code
        else:
            seen = grpc.StatusCode.INVALID_ARGUMENT
            assert condition.sql.count("?") == len(condition.parameters)
        assert seen is grpc.StatusCode.INVALID_ARGUMENT


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(WORDS), max_size=8))
def test_every_filter_that_is_understood_can_be_asked(
    fuzzed: tuple[RunningEmulator, Path], words: list[str]
) -> None:
    emulator, _ = fuzzed
    text = " ".join(words)
    try:
        compile_filter(text, CONVERSATION_FIELDS)
    except ApiError:
        return
    emulator.client.list_conversations({"parent": PARENT, "filter": text})


@pytest.mark.parametrize(
    "text", ["(" * 21 + 'labels:"x"' + ")" * 21, 'labels:"x" ' * 201, "a" * 10_001]
)
def test_a_filter_that_is_too_deep_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="more than"):
        compile_filter(text, CONVERSATION_FIELDS)


def test_the_longest_filter_is_still_answered(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    name = create(ci_emulator, ci_objects, labels={"a": "b"}).name
    text = "-(" * 20 + 'labels:"a" OR ' * 199 + 'labels:"a"' + ")" * 20
    found = ci_emulator.client.list_conversations({"parent": PARENT, "filter": text})
    assert [conversation.name for conversation in found] == [name]
