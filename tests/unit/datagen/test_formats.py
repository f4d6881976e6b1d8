from __future__ import annotations

from pathlib import Path

import jsonschema
import orjson
import pytest

from ingest.datagen.dataset_check import (
    CONVERSATION_TRUTHS,
    MODELS,
    ConversationFiles,
    check_files,
    published_schema,
    schema_bytes,
    schema_file,
    truth_row,
)
from ingest.domain.conversation import FileKind, json_sha256, parse_batch_date
from ingest.errors import InputError
from ingest.flows.landing import check_row

SEEDS = Path(__file__).parents[3] / "seeds"
FOLDERS = sorted(path.parent for path in SEEDS.glob("conversations/*/*/expected.json"))


def files_of(folder: Path) -> ConversationFiles:
    date = parse_batch_date(folder.parent.name)
    assert date is not None
    contents = {kind: (folder / f"{kind.value}.json").read_bytes() for kind in FileKind}
    return ConversationFiles(date, folder.name, contents, (folder / "expected.json").read_bytes())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_published_schema_is_fresh(name: str) -> None:
    assert schema_file(name).read_bytes() == schema_bytes(name), (
        "run python -m ingest.datagen.dataset_check"
    )


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_dev_conversations_keep_to_the_published_schema(name: str) -> None:
    schema = published_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    faults = [
        (folder.name, error.json_path)
        for folder in FOLDERS
        for error in validator.iter_errors(orjson.loads((folder / f"{name}.json").read_bytes()))
    ]

    assert faults == []
    assert len(FOLDERS) == 24


def test_the_dev_conversations_have_no_fault() -> None:
    assert [fault for folder in FOLDERS for fault in check_files(files_of(folder))] == []


def test_a_truth_with_a_span_outside_of_its_turn_is_a_fault() -> None:
    files = files_of(FOLDERS[0])
    truth = orjson.loads(files.truth or b"")
    truth["pii_spans"].append(
        {"type": "PHONE", "turn_index": 0, "start_char": 0, "end_char": 10_000}
    )
    last = len(truth["pii_spans"]) - 1

    faults = check_files(
        ConversationFiles(
            files.batch_date, files.conversation_id, files.contents, orjson.dumps(truth)
        )
    )

    assert [(fault.rule, fault.pointer) for fault in faults] == [
        ("span_outside_text", f"/pii_spans/{last}")
    ]


def test_a_folder_without_one_file_is_reported_as_waiting() -> None:
    files = files_of(FOLDERS[0])
    alone = {FileKind.TRANSCRIPTION: files.contents[FileKind.TRANSCRIPTION]}

    (fault,) = check_files(ConversationFiles(files.batch_date, files.conversation_id, alone))

    assert (fault.file.split("/")[-1], fault.rule, fault.severity.value) == (
        "metadata.json",
        "file_missing",
        "warning",
    )


def test_a_truth_row_keeps_to_the_raw_table_and_names_its_transcript() -> None:
    files = files_of(FOLDERS[0])

    row = truth_row(files)

    assert row is not None
    check_row(row)
    assert row.table == CONVERSATION_TRUTHS
    assert row.values["transcript_sha256"] == json_sha256(
        orjson.loads(files.contents[FileKind.TRANSCRIPTION])
    )
    assert row.values["payload"] == orjson.loads(files.truth or b"")


def test_a_folder_without_truth_has_no_row_and_a_broken_one_is_named() -> None:
    files = files_of(FOLDERS[0])
    bare = ConversationFiles(files.batch_date, files.conversation_id, files.contents)
    broken = ConversationFiles(files.batch_date, files.conversation_id, files.contents, b"[]")

    assert truth_row(bare) is None
    with pytest.raises(InputError, match=files.conversation_id):
        truth_row(broken)
