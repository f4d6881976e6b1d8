from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.conversation import (
    TRANSCRIPT_SCHEMA_VERSION,
    FileKind,
    Metadata,
    Transcription,
)
from ingest.domain.costs import USD_PER_UNIT
from ingest.domain.faults import Fault, Severity, has_errors
from ingest.domain.insights_format import ConversationVersion, ci_labels
from ingest.domain.json_decoding import decode_json, has_long_number
from ingest.domain.validation import PIPELINE_LABELS, check_conversation, parse_file

ID = "77d34f94-795d-40fa-8d20-d5ce43b8a47b"
DAY = dt.date(2025, 12, 28)
SECRET = "my card is 4111"


def metadata_fields(**changes: Any) -> dict[str, Any]:
    fields = {
        "schema_version": "1.0",
        "conversation_id": ID,
        "direction": "OUTBOUND",
        "business_line": "COLLECTIONS",
        "medium": "PHONE_CALL",
        "language_code": "en-AU",
        "queue": "collections-outbound-late",
        "agent_id": "AGT-2042",
        "agent_name": "Craig Dunmore",
        "agent_team": "Late Stage Collections",
        "agent_site": "Ipswich",
        "portfolio_id": "PF-HLF-AUTO-02",
        "call_outcome": "NO_AGREEMENT",
        "started_at": "2025-12-28T10:22:48+10:00",
        "ended_at": "2025-12-28T10:26:41+10:00",
        "duration_sec": 233.0,
    }
    return {**fields, **changes}


def transcription_fields(*turns: dict[str, Any]) -> dict[str, Any]:
    return {"schema_version": "1.0", "conversation_id": ID, "turns": list(turns)}


def turn(index: int, offset: float, **changes: Any) -> dict[str, Any]:
    fields = {"turn_index": index, "speaker": "AGENT", "start_offset_sec": offset, "text": "Hi."}
    return {**fields, **changes}


def parsed(kind: FileKind, fields: dict[str, Any]) -> tuple[Any, list[Fault]]:
    return parse_file(kind, orjson.dumps(fields), "f.json")


def rules_of(faults: list[Fault]) -> list[tuple[str, str, str]]:
    return [(fault.pointer, fault.rule, fault.severity.value) for fault in faults]


def check(
    metadata: dict[str, Any] | None = None,
    transcription: dict[str, Any] | None = None,
    folder_name: str = ID,
    batch_date: dt.date = DAY,
) -> list[Fault]:
    return check_conversation(
        folder_name,
        batch_date,
        None if metadata is None else Metadata.model_validate(metadata),
        None if transcription is None else Transcription.model_validate(transcription),
    )


def test_a_good_pair_has_no_faults() -> None:
    metadata, metadata_faults = parsed(FileKind.METADATA, metadata_fields())
    talk, talk_faults = parsed(FileKind.TRANSCRIPTION, transcription_fields(turn(0, 0.5)))

    faults = check_conversation(ID, DAY, metadata, talk)

    assert (metadata_faults, talk_faults, faults) == ([], [], [])


@pytest.mark.parametrize(
    ("content", "rule", "place"),
    [
        (b'{"a": "\xff"}', "not_utf8", "byte 7"),
        (b'{"a": "x\ny"}', "not_json", "a raw control character stands in a string"),
        (b'"\\ud800"', "lone_surrogate", "line 1, column 2"),
        (b'{"a": 18446744073709551616}', "number_too_wide", "can't hold this number exactly"),
        (b'{"a": 0.12345678901234567890}', "number_too_wide", "can't hold this number exactly"),
        (b'{"a": 1e400}', "number_too_wide", "can't hold this number exactly"),
        (b"[" * 501 + b"]" * 501, "nested_too_deep", "deeper than 500 levels"),
        (b"[" * 5000, "nested_too_deep", "deeper than 500 levels"),
        (b'{"a": {"b": 1, "b": 2}}', "duplicate_key", "the key comes twice"),
        (b'{"a": 1,\n "b"', "not_json", "line 2, column 5"),
        (b'{"a": NaN}', "not_json", "line 1, column 7"),
        (b"", "not_json", "line 1, column 1"),
    ],
)
def test_bytes_that_are_no_json_give_one_fault_with_its_place(
    content: bytes, rule: str, place: str
) -> None:
    model, faults = parse_file(FileKind.METADATA, content, "d/m.json")

    assert model is None
    assert [(fault.file, fault.rule) for fault in faults] == [("d/m.json", rule)]
    assert place in faults[0].message


def test_a_file_over_the_limit_is_refused_unread() -> None:
    model, faults = parse_file(FileKind.METADATA, b"x" * 11, "m.json", max_bytes=10)

    assert model is None
    assert rules_of(faults) == [("", "file_too_large", "error")]


def test_every_schema_fault_of_a_file_is_reported_with_its_pointer() -> None:
    fields = metadata_fields(
        direction="SIDEWAYS", duration_sec="233", started_at="2025-12-28T10:22:48", agent_id=""
    )
    del fields["queue"]

    model, faults = parsed(FileKind.METADATA, fields)

    assert model is None
    assert sorted(rules_of(faults)) == [
        ("/agent_id", "empty_text", "error"),
        ("/direction", "unknown_value", "error"),
        ("/duration_sec", "wrong_type", "error"),
        ("/queue", "missing_field", "error"),
        ("/started_at", "timezone_missing", "error"),
    ]


@pytest.mark.parametrize(
    ("bad", "pointer", "rule"),
    [
        ({"speaker": SECRET}, "/turns/1/speaker", "unknown_value"),
        ({"text": ["x", SECRET]}, "/turns/1/text", "wrong_type"),
        ({"text": ""}, "/turns/1/text", "empty_text"),
        ({"text": "  \u00a0"}, "/turns/1/text", "empty_text"),
        ({"start_offset_sec": -1.0}, "/turns/1/start_offset_sec", "negative_number"),
        ({"turn_index": SECRET}, "/turns/1/turn_index", "wrong_type"),
        ({"end_offset_sec": -0.5}, "/turns/1/end_offset_sec", "negative_number"),
        ({"end_offset_sec": SECRET}, "/turns/1/end_offset_sec", "wrong_type"),
        ({"confidence": 93.5}, "/turns/1/confidence", "number_too_large"),
        ({"confidence": -0.1}, "/turns/1/confidence", "negative_number"),
        ({"language_code": ""}, "/turns/1/language_code", "empty_text"),
    ],
)
def test_a_bad_turn_is_named_and_never_quoted(bad: dict[str, Any], pointer: str, rule: str) -> None:
    talk = transcription_fields(turn(0, 0.0), turn(1, 1.0, **bad))

    model, faults = parsed(FileKind.TRANSCRIPTION, talk)

    assert model is None
    assert rules_of(faults) == [(pointer, rule, "error")]
    assert SECRET not in faults[0].message + faults[0].hint


def test_unknown_fields_are_kept_and_warned_about() -> None:
    talk = transcription_fields(turn(0, 0.0, confidnce=0.9))

    model, faults = parsed(FileKind.TRANSCRIPTION, {**talk, "conversation/idd": 1})

    assert rules_of(faults) == [
        ("/conversation~1idd", "unknown_field", "warning"),
        ("/turns/0/confidnce", "unknown_field", "warning"),
    ]
    assert "did you mean conversation_id?" in faults[0].hint
    assert model.turns[0].model_extra == {"confidnce": 0.9}


def test_a_later_major_version_of_the_format_is_a_warning() -> None:
    model, faults = parsed(FileKind.METADATA, metadata_fields(schema_version="2.0"))
    talk = transcription_fields(turn(0, 0.0)) | {"schema_version": "3.0"}
    later, later_faults = parsed(FileKind.TRANSCRIPTION, talk)

    assert model is not None
    assert later is not None
    warning = [("/schema_version", "unknown_schema_version", "warning")]
    assert (rules_of(faults), rules_of(later_faults)) == (warning, warning)


@pytest.mark.parametrize("version", ["1.0", "1.7", TRANSCRIPT_SCHEMA_VERSION])
def test_a_transcript_of_every_readable_version_has_its_turns_facts(version: str) -> None:
    facts = {
        "end_offset_sec": 2.5,
        "confidence": 0.93,
        "language_code": "es-AU",
        "participant_id": "AGT-7",
    }
    talk = transcription_fields(turn(0, 0.0, **facts), turn(1, 3.0)) | {"schema_version": version}

    model, faults = parsed(FileKind.TRANSCRIPTION, talk)

    assert faults == []
    assert [each.model_dump(include=set(facts)) for each in model.turns] == [
        facts,
        dict.fromkeys(facts),
    ]


def test_an_id_that_differs_from_the_folder_is_an_error_in_each_file() -> None:
    other = "a" * 8 + ID[8:]

    faults = check(metadata_fields(), transcription_fields(turn(0, 0.0)), folder_name=other)

    assert [(fault.file.split("/")[2], fault.rule) for fault in faults] == [
        ("metadata.json", "id_differs_from_folder"),
        ("transcription.json", "id_differs_from_folder"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("call-0001", [("", "id_not_uuid", "warning")]),
        ("Call 1", [("", "bad_conversation_id", "error")]),
        ("x" * 65, [("", "bad_conversation_id", "error")]),
    ],
)
def test_a_folder_name_must_be_an_id_that_ci_accepts(
    name: str, expected: list[tuple[str, str, str]]
) -> None:
    assert rules_of(check(folder_name=name)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"duration_sec": 234.0}, []),
        ({"duration_sec": 235.0}, [("/duration_sec", "duration_differs", "error")]),
        (
            {"ended_at": "2025-12-28T10:22:47+10:00"},
            [("/ended_at", "ends_before_start", "error")],
        ),
        ({"portfolio_id": None}, []),
        ({"queue": "q" * 257}, [("/queue", "label_too_long", "warning")]),
        ({"labels": {"queue": "x"}}, [("/labels/queue", "reserved_label", "warning")]),
        ({"labels": {f"l{n}": "" for n in range(87)}}, []),
        (
            {"labels": {f"l{n}": "" for n in range(88)}},
            [("/labels", "too_many_labels", "error")],
        ),
        ({"customer_phone": "0491 570 006", "e_mail": "a@example.com"}, []),
        ({"customer_phone": "a@b.c"}, [("/customer_phone", "phone_shape", "warning")]),
        ({"labels": {"email": "0491"}}, [("/labels/email", "email_shape", "warning")]),
    ],
)
def test_metadata_rules(changes: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert rules_of(check(metadata_fields(**changes))) == expected


@pytest.mark.parametrize("name", ["started_at", "ended_at"])
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_time_that_has_no_utc_is_a_bad_timestamp(name: str, moment: str) -> None:
    content = orjson.dumps(metadata_fields(**{name: moment}))

    parsed, faults = parse_file(FileKind.METADATA, content, "m.json")

    assert parsed is None
    assert faults == [
        Fault(
            "m.json",
            f"/{name}",
            "bad_timestamp",
            "the time lies outside the years 1 to 9999 in UTC",
            "write RFC 3339 with an offset, for example 2025-12-28T10:22:48+10:00",
        )
    ]


@pytest.mark.parametrize(
    ("started_at", "ended_at", "batch_date", "expected"),
    [
        ("2025-12-28T00:05:00+10:00", "2025-12-28T00:06:00+10:00", DAY, []),
        (
            "2025-12-28T09:00:00+10:00",
            "2025-12-28T09:01:00+10:00",
            dt.date(2025, 12, 27),
            [("/started_at", "folder_date_differs", "warning")],
        ),
        (
            "2025-12-28T09:00:00+10:00",
            "2025-12-28T09:01:00+10:00",
            dt.date(2026, 1, 3),
            [("/started_at", "folder_date_differs", "warning")],
        ),
        (
            "2025-12-28T11:00:00+10:00",
            "2025-12-28T11:01:00+10:00",
            dt.date(2025, 12, 27),
            [("/started_at", "folder_date_before_call", "error")],
        ),
    ],
)
def test_a_late_folder_warns_and_a_folder_before_the_call_is_refused(
    started_at: str, ended_at: str, batch_date: dt.date, expected: list[tuple[str, str, str]]
) -> None:
    fields = metadata_fields(started_at=started_at, ended_at=ended_at, duration_sec=60.0)

    assert rules_of(check(fields, batch_date=batch_date)) == expected


def test_turns_must_be_numbered_in_the_order_of_time() -> None:
    talk = transcription_fields(turn(0, 0.0), turn(2, 9.0), turn(1, 3.0), turn(3, 9.5))

    faults = check(transcription=talk)

    assert rules_of(faults) == [
        ("/turns/1/turn_index", "turn_index_out_of_order", "error"),
        ("/turns/2/start_offset_sec", "offset_decreases", "error"),
    ]


def test_the_last_turn_must_start_before_the_end() -> None:
    within = check(metadata_fields(), transcription_fields(turn(0, 234.0)))
    after = check(metadata_fields(), transcription_fields(turn(0, 234.1)))

    assert rules_of(within) == []
    assert rules_of(after) == [("/turns/0/start_offset_sec", "offset_after_end", "error")]


def test_a_turn_must_end_after_its_start_and_before_the_end_of_the_call() -> None:
    talk = transcription_fields(
        turn(0, 0.0, end_offset_sec=0.0),
        turn(1, 1.0, end_offset_sec=234.1),
        turn(2, 9.0, end_offset_sec=8.9),
    )

    assert rules_of(check(metadata_fields(), talk)) == [
        ("/turns/2/end_offset_sec", "turn_ends_before_start", "error"),
        ("/turns/1/end_offset_sec", "offset_after_end", "error"),
    ]


def test_ends_of_some_turns_alone_are_a_warning() -> None:
    talk = transcription_fields(turn(0, 0.0, end_offset_sec=1.0), turn(1, 1.0), turn(2, 2.0))

    assert rules_of(check(metadata_fields(), talk)) == [
        ("/turns/1/end_offset_sec", "some_ends_missing", "warning")
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.none() | st.integers(0, 300)), min_size=1, max_size=6
    )
)
def test_only_ends_between_start_and_end_of_the_call_are_taken(
    times: list[tuple[int, int | None]],
) -> None:
    ordered = sorted(times, key=lambda pair: pair[0])
    talk = transcription_fields(
        *(turn(i, float(start), end_offset_sec=end) for i, (start, end) in enumerate(ordered))
    )

    are_right = all(end is None or start <= end <= 234 for start, end in ordered)
    assert has_errors(check(metadata_fields(), talk)) is not are_right


def test_the_reserved_labels_are_those_that_the_pipeline_sets() -> None:
    metadata = Metadata.model_validate(metadata_fields(campaign_id="C1"))
    talk = Transcription.model_validate(transcription_fields(turn(0, 0.0)))

    labels = ci_labels(ConversationVersion(ID, DAY, metadata, talk, "a", "b"))  # type: ignore[arg-type]

    assert set(labels) == PIPELINE_LABELS


def test_strict_counts_warnings() -> None:
    warning = Fault("f", "", "r", "m", "h", Severity.WARNING)

    assert (has_errors([warning]), has_errors([warning], strict=True)) == (False, True)


@given(st.binary(max_size=200), st.sampled_from(FileKind))
def test_any_bytes_give_a_model_or_an_error(content: bytes, kind: FileKind) -> None:
    model, faults = parse_file(kind, content, "f")

    assert (model is None) == has_errors(faults)


@given(st.integers(0, 400), st.data())
def test_a_file_cut_anywhere_is_no_json(at: int, data: st.DataObject) -> None:
    content = orjson.dumps(metadata_fields())
    cut = data.draw(st.integers(0, min(at, len(content) - 1)))

    model, faults = parse_file(FileKind.METADATA, content[:cut], "f")

    assert model is None
    assert [fault.rule for fault in faults] == ["not_json"]


def test_a_byte_order_mark_is_read_over() -> None:
    content = orjson.dumps(metadata_fields())

    model, _ = parse_file(FileKind.METADATA, b"\xef\xbb\xbf" + content, "m.json")

    assert model == parse_file(FileKind.METADATA, content, "m.json")[0]
    assert model is not None


def test_a_key_that_may_be_a_person_is_hidden() -> None:
    _, faults = parsed(
        FileKind.METADATA,
        metadata_fields(**{"+61 412 345 678": 1, "jo@example.com": 1, "Ann Lee": 1, "crm_id": 1}),
    )

    assert sorted(fault.pointer for fault in faults if fault.rule == "unknown_field") == [
        "/<key>",
        "/<key>",
        "/<key>",
        "/crm_id",
    ]


def test_a_list_of_faulty_items_is_not_called_empty() -> None:
    talk = transcription_fields({"turn_index": 0, "speaker": "AGENT", "text": "hello"})

    _, faults = parsed(FileKind.TRANSCRIPTION, talk)

    assert rules_of(faults) == [("/turns/0/start_offset_sec", "missing_field", "error")]


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_bigquery_holds_exactly_is_read_as_it_is(value: object) -> None:
    assert decode_json(json.dumps(value).encode(), "m.json") == (value, [])
    assert decode_json(json.dumps(value, ensure_ascii=False).encode(), "m.json") == (value, [])


@given(st.integers(2**64) | st.integers(max_value=-(2**63) - 1))
def test_an_integer_that_would_be_rounded_is_refused_where_it_stands(number: int) -> None:
    _, faults = decode_json(json.dumps({"a": [0, {"b": number}]}).encode(), "m.json")

    assert rules_of(faults) == [("/a/1/b", "number_too_wide", "error")]


def test_the_price_of_an_analysis_is_one_in_sidecar_and_dbt() -> None:
    variables = yaml.safe_load(Path("dbt_project.yml").read_text())["vars"]

    assert float(variables["ci_analysis_usd_per_unit"]) == USD_PER_UNIT


@given(
    st.recursive(st.none() | st.integers(0, 999) | st.text("ab: ,[", max_size=9), st.lists),
    st.sampled_from(["1" * 17, "-0.1234567890123456", "1e5", "-2E-7", " 1.5e3", "9" * 60 + "e1"]),
)
def test_a_long_number_is_found_wherever_it_stands_and_not_in_a_text(
    before: object, number: str
) -> None:
    assert has_long_number(b"[" + orjson.dumps(before) + b"," + number.encode() + b"]")
    assert has_long_number(number.encode())
    assert not has_long_number(b'{"id": "9c2b7f1e-4d0a-4e63-8f7e-0b5f3f0d2a11", "n": 12.5}')


_WORDS = st.sampled_from(["a", "b", 'a":', "a\\", '": "', "é", "\x01", " :", '\\":', '"'])
_ESCAPES = st.sampled_from([False, True])


@st.composite
def _object_texts(draw: st.DrawFn, depth: int = 2) -> tuple[str, Any, bool]:
    """Return the text of an object, its value, and whether a key comes twice in it."""
    pairs: list[str] = []
    value: dict[str, Any] = {}
    is_twice = False
    for _ in range(draw(st.integers(0, 3))):
        key = draw(_WORDS)
        below = depth and draw(st.booleans())
        text, inner, twice = draw(_object_texts(depth - 1)) if below else ("", draw(_WORDS), False)
        is_ascii, blank = draw(_ESCAPES), draw(st.sampled_from(["", " ", "\n"]))
        written = text or json.dumps(inner, ensure_ascii=is_ascii)
        pairs.append(f"{json.dumps(key, ensure_ascii=is_ascii)}{blank}:{written}")
        is_twice = is_twice or twice or key in value
        value[key] = inner
    return "{" + ",".join(pairs) + "}", value, is_twice


@given(_object_texts())
def test_a_key_that_comes_twice_is_found_whatever_the_text_looks_like(
    made: tuple[str, Any, bool],
) -> None:
    text, value, is_twice = made

    found, faults = decode_json(text.encode(), "m.json")

    assert {fault.rule for fault in faults} == ({"duplicate_key"} if is_twice else set())
    assert found == (None if is_twice else value)
