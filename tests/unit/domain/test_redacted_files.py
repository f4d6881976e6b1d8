"""Both files without people: what stays, what goes, and that nothing found stays anywhere."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.conversation import FileKind
from ingest.domain.declarations import CustomField, FieldType
from ingest.domain.redaction.files import (
    FilesToRedact,
    pseudonym,
    redacted_files,
    unknown_languages,
)
from ingest.domain.redaction.redactor import VERSION
from ingest.domain.redaction.turn import built_in
from ingest.domain.validation import deliver_file
from tests.fakes.folders import conversation_id, metadata, transcription

KEY = b"k" * 32
ID = conversation_id(1)
FIELDS = {
    "patient_id": CustomField("patient_id", FieldType.STRING, "", is_personal=True),
    "born_on": CustomField("born_on", FieldType.DATE, "", is_personal=True),
    "reading": CustomField("reading", FieldType.FLOAT64, ""),
}


def files(texts: tuple[str, ...] = ("Hello, Robin here.", "Hi."), **changes: Any) -> FilesToRedact:
    return FilesToRedact(metadata(ID, **changes), transcription(ID, *texts), FIELDS, KEY)


def redacted(given: FilesToRedact) -> tuple[dict[str, Any], dict[str, Any]]:
    made = redacted_files(given, built_in())
    for kind, content in zip(FileKind, made, strict=True):
        assert deliver_file(kind, content, "")[1] == []
    return json.loads(made[0]), json.loads(made[1])


def test_one_person_has_one_placeholder_in_talk_notes_labels_and_fields() -> None:
    notes = "Tamika Rowntree rings back on 0491 570 110."
    about, talk = redacted(
        files(
            ("Who am I speaking with?", "Tamika Rowntree.", "Thanks Tamika.", "0491 570 110."),
            agent_notes=notes,
            labels={"customer_name": "Tamika Rowntree", "stage": "late"},
            custom={"asked_by": ["Tamika Rowntree"], "reading": 12.5},
        )
    )

    assert [turn["text"] for turn in talk["turns"]] == [
        "Who am I speaking with?",
        "[NAME_1].",
        "Thanks [NAME_2].",
        "[PHONE_1].",
    ]
    assert about["agent_notes"] == "[NAME_1] rings back on [PHONE_1]."
    assert about["labels"] == {"customer_name": "[NAME_1]", "stage": "late"}
    assert about["custom"] == {"asked_by": ["[NAME_1]"], "reading": 12.5}
    assert (about["redactor"], talk["redactor"]) == (VERSION, VERSION)


def test_words_of_the_business_stay_and_what_nobody_declares_goes() -> None:
    given = files(
        custom={"patient_id": "PT-77", "born_on": "1970-01-02"},
        source={"format": "genesys", "file": "tamika.json"},
        caller="Tamika",
    )
    given.transcription["turns"][1] |= {"source": {"words": ["Tamika"]}, "participant_id": "Tamika"}
    about, talk = redacted(given)

    assert about == {
        **metadata(ID),
        "agent_name": "AGT-7",
        "custom": {"patient_id": pseudonym(KEY, "PT-77"), "born_on": None},
        "source": {"format": "genesys", "redacted": True},
        "redactor": VERSION,
    }
    assert [turn.keys() for turn in talk["turns"]] == [
        {"turn_index", "speaker", "start_offset_sec", "text"},
        {"turn_index", "speaker", "start_offset_sec", "text", "participant_id"},
    ]
    assert talk["turns"][1]["participant_id"] == "p1"


@pytest.mark.parametrize("agent_id", ["robin.vale", "rvale@firm.example", "Vale7"])
def test_an_agents_id_that_says_who_that_is_becomes_a_pseudonym(agent_id: str) -> None:
    about, _ = redacted(files(agent_id=agent_id))

    assert about["agent_id"] == about["agent_name"] == pseudonym(KEY, agent_id)


def test_a_pseudonym_needs_the_key() -> None:
    assert re.fullmatch("p-[0-9a-f]{16}", pseudonym(KEY, "PT-77"))
    assert pseudonym(b"other", "PT-77") != pseudonym(KEY, "PT-77") != pseudonym(KEY, "PT-78")


def test_a_personal_field_is_found_in_the_talk() -> None:
    _, talk = redacted(files(("Hello.", "It's QX-KLMN."), custom={"patient_id": "QX-KLMN"}))

    assert talk["turns"][1]["text"] == "It's [REFERENCE_1]."


def test_languages_of_metadata_and_turns_are_judged() -> None:
    given = files(language_code="en-AU")
    given.transcription["turns"][0]["language_code"] = "fr"

    assert unknown_languages(given) == ("fr",)
    assert unknown_languages(files(language_code="de-DE")) == ("de-DE",)
    assert unknown_languages(files(language_code="EN")) == ()


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=12),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_no_field_of_any_shape_carries_a_detail_of_the_talk(custom: dict[str, Any]) -> None:
    phone = "0491 570 110"
    planted = {**custom, "x": [phone, {phone: {"deep": f"ring {phone} now"}}]}
    made = redacted_files(files(("Your number?", f"{phone}."), custom=planted), built_in())

    assert not any(phone.encode() in content for content in made)
