"""Words, media and custom fields that a user declares: what is a warning, and what is sent."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.conversation import FileKind, Medium, Metadata
from ingest.domain.declarations import (
    CustomField,
    Declarations,
    FieldType,
    is_of_type,
)
from ingest.domain.faults import has_errors
from ingest.domain.insights_format import MAX_LABELS, PIPELINE_LABELS, submission_of
from ingest.domain.validation import check_conversation, check_delivery, deliver_file
from ingest.errors import SettingsError
from ingest.flows.declared import read_declarations
from tests.fakes import folders

ID = "77d34f94-795d-40fa-8d20-d5ce43b8a47b"
DAY = dt.date(2026, 1, 5)
METER = CustomField("meter_reading", FieldType.FLOAT64, "Reading that the caller gave.")
TARIFF = CustomField("tariff", FieldType.STRING, "Tariff of the contract.", is_label=True)
UTILITY = Declarations(
    words={
        "business_line": frozenset({"ELECTRICITY", "GAS"}),
        "call_outcome": frozenset({"READING_TAKEN"}),
        "call_reason": frozenset({"LEAK"}),
        "queue": frozenset(),
    },
    insights_media={"PHONE_CALL": Medium.PHONE_CALL, "EMAIL": Medium.CHAT, "LETTER": None},
    custom_fields={each.name: each for each in (METER, TARIFF)},
)


def metadata(**changes: Any) -> dict[str, Any]:
    utility = {"business_line": "GAS", "call_outcome": "READING_TAKEN", "queue": "any"}
    return folders.metadata(ID) | utility | changes


def faults_of(declared: Declarations = UTILITY, **changes: Any) -> list[tuple[str, str, str]]:
    parsed = Metadata.model_validate(metadata(**changes))
    return [
        (fault.pointer, fault.rule, fault.severity.value)
        for fault in check_conversation(ID, DAY, parsed, None, declared)
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"business_line": "WATER"}, [("/business_line", "unknown_word", "warning")]),
        ({"call_outcome": "reading_taken"}, [("/call_outcome", "unknown_word", "warning")]),
        ({"call_reason": "LEAK"}, []),
        ({"call_reason": "leak"}, [("/call_reason", "unknown_word", "warning")]),
        ({"medium": "EMAIL"}, []),
        ({"medium": "LETTER"}, []),
        ({"medium": "CHAT"}, [("/medium", "unknown_value", "error")]),
        ({"custom": {"meter_reading": 4711.5, "tariff": None}}, []),
        (
            {"custom": {"meter_reading": "4711"}},
            [("/custom/meter_reading", "custom_field_type", "warning")],
        ),
        (
            {"custom": {"meter_number": 1}},
            [("/custom/meter_number", "undeclared_custom_field", "warning")],
        ),
        (
            {"custom": {"Ann Lee 0412 345 678": 1}},
            [("/custom/<key>", "undeclared_custom_field", "warning")],
        ),
    ],
)
def test_what_isnt_declared_is_a_warning_and_a_medium_an_error(
    changes: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    assert faults_of(**changes) == expected


def test_without_declarations_every_word_is_taken() -> None:
    assert faults_of(Declarations(), business_line="x", call_outcome="y", queue="z") == []


def test_strict_keeps_out_what_is_only_warned_about() -> None:
    contents = {
        FileKind.METADATA: orjson.dumps(metadata(business_line="WATER")),
        FileKind.TRANSCRIPTION: orjson.dumps(folders.transcription(ID)),
    }
    usable = [
        check_delivery(
            ID, DAY, contents, [], dataclasses.replace(UTILITY, is_strict=strict)
        ).is_usable
        for strict in (False, True)
    ]

    assert usable == [True, False]


@pytest.mark.parametrize(
    ("medium", "sent_as"), [("PHONE_CALL", "PHONE_CALL"), ("EMAIL", "CHAT"), ("LETTER", "")]
)
def test_insights_gets_a_medium_as_what_it_can_take(medium: str, sent_as: str) -> None:
    fields = metadata(medium=medium, custom={"tariff": "t" * 300, "meter_reading": 1.5})
    files = {}
    for kind, payload in (
        (FileKind.METADATA, fields),
        (FileKind.TRANSCRIPTION, folders.transcription(ID)),
    ):
        files[kind], _ = deliver_file(kind, orjson.dumps(payload), "f")

    submission = submission_of(ID, DAY, {k: f for k, f in files.items() if f}, UTILITY)

    assert submission.medium == sent_as
    assert submission.labels["medium"] == medium
    assert submission.labels["tariff"] == "t" * 256
    assert "meter_reading" not in submission.labels


def test_labels_of_custom_fields_count() -> None:
    room = MAX_LABELS - len(PIPELINE_LABELS)
    labels = {f"l{number}": "" for number in range(room)}

    assert faults_of(labels=labels) == []
    assert faults_of(labels=labels, custom={"tariff": "x"}) == [
        ("/labels", "too_many_labels", "error")
    ]


@pytest.mark.parametrize(
    ("value", "types"),
    [
        ("x", {"string"}),
        ("2026-02-28", {"string", "date"}),
        ("2026-02-30", {"string"}),
        ("2026-02-28T10:00:00+01:00", {"string", "timestamp"}),
        ("2026-02-28T10:00:00", {"string"}),
        ("123456", {"string"}),
        ("+1000", {"string"}),
        (7, {"string", "int64", "float64"}),
        (2**63, {"string", "float64"}),
        (7.5, {"string", "float64"}),
        (True, {"string", "bool"}),
        (["x"], set()),
        ({"x": 1}, set()),
    ],
)
def test_a_value_is_of_the_types_that_bigquery_casts_it_to(value: Any, types: set[str]) -> None:
    assert {each.value for each in FieldType if is_of_type(value, each)} == types


@given(
    st.dictionaries(
        st.sampled_from(["meter_reading", "tariff", "other"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_custom_fields_never_keep_a_conversation_out(custom: dict[str, Any]) -> None:
    parsed = Metadata.model_validate(metadata(custom=custom))

    assert not has_errors(check_conversation(ID, DAY, parsed, None, UTILITY))


def test_declarations_are_read_from_seeds_and_the_project(tmp_path: Path) -> None:
    (tmp_path / "business_lines.csv").write_text("business_line,description\nGAS,Gas.\n")
    (tmp_path / "media.csv").write_text(
        "medium,insights_medium,description\nEMAIL,CHAT,Mail.\nLETTER,,Paper.\n"
    )
    project = tmp_path / "dbt_project.yml"
    project.write_text(
        "vars:\n  conversation_custom_fields:\n"
        "    - {name: tariff, data_type: string, description: Tariff., label: true}\n"
        "    - {name: born_on, data_type: date, description: Birth., personal: true}\n"
    )

    assert read_declarations(tmp_path, project) == Declarations(
        dict.fromkeys(("call_outcome", "call_reason", "queue"), frozenset())
        | {"business_line": frozenset({"GAS"})},
        {"EMAIL": Medium.CHAT, "LETTER": None},
        {
            "tariff": CustomField("tariff", FieldType.STRING, "Tariff.", is_label=True),
            "born_on": CustomField("born_on", FieldType.DATE, "Birth.", is_personal=True),
        },
    )


def test_vars_of_the_project_win_and_short_rows_declare_nothing(tmp_path: Path) -> None:
    (tmp_path / "queues.csv").write_text("description,queue\nGas.,GAS\nshort\n")
    (tmp_path / "media.csv").write_text("insights_medium,medium\nCHAT,EMAIL\n\nCHAT\n")
    project = tmp_path / "dbt_project.yml"
    project.write_text(
        "name: ours\nvars:\n  conversation_custom_fields: []\n  ours:\n"
        "    conversation_custom_fields: [{name: a, data_type: string, description: A.}]\n"
    )

    found = read_declarations(tmp_path, project)

    assert found.words["queue"] == frozenset({"GAS"})
    assert found.insights_media == {"EMAIL": Medium.CHAT}
    assert found.custom_fields == {"a": CustomField("a", FieldType.STRING, "A.")}


def test_custom_fields_are_a_list(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("vars: {conversation_custom_fields: 5}\n")

    with pytest.raises(SettingsError, match="is no list"):
        read_declarations(tmp_path, tmp_path / "dbt_project.yml")


def test_nothing_is_declared_where_no_file_is(tmp_path: Path) -> None:
    empty: dict[str, frozenset[str]] = dict.fromkeys(
        ("business_line", "call_outcome", "call_reason", "queue"), frozenset()
    )
    assert read_declarations(tmp_path, tmp_path / "dbt_project.yml") == Declarations(empty)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("{name: a, data_type: string}", "lacks name, data_type or description"),
        ("{name: A-b, data_type: string, description: x}", "no column's name"),
        ("{name: a, data_type: text, description: x}", "no type that is known"),
        ("{name: a, data_type: string, description: x, pii: true}", "unknown pii"),
        ("{name: a, data_type: string, description: x, 1: true, z: 1}", "unknown 1, z"),
        (
            "{name: a, data_type: string, description: x, label: true, personal: true}",
            "a is personal",
        ),
        (
            "{name: queue, data_type: string, description: x, label: true}",
            "a label that the pipeline sets itself",
        ),
    ],
)
def test_a_declaration_that_cant_be_used_is_refused(
    tmp_path: Path, field: str, message: str
) -> None:
    project = tmp_path / "dbt_project.yml"
    project.write_text(f"vars:\n  conversation_custom_fields:\n    - {field}\n")

    with pytest.raises(SettingsError, match=message):
        read_declarations(tmp_path, project)


def test_insights_has_no_other_media(tmp_path: Path) -> None:
    (tmp_path / "media.csv").write_text("medium,insights_medium,description\nEMAIL,MAIL,Mail.\n")

    with pytest.raises(SettingsError, match="Insights has no medium 'MAIL'"):
        read_declarations(tmp_path, tmp_path / "none.yml")
