"""One odd file, record or conversation never ends a conversion, and is always accounted for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ingest.formats import conversion
from tests.unit.flows.test_converting import CALL, OWN, counts, files_of, put, run, said

DEEP = '{"id": "call-deep", "x": ' + "[" * 300 + "]" * 300 + "}"
MIXED = {"outer": [{"a": [{"text": "x"}]}, {"a": 7}]}
YEAR_ONE = "0001-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (said("one") | {"said": [{"who": "a", "sec": 1e15, "text": "x"}]}, "would last"),
        (said("one", at=YEAR_ONE) | {"zone": "America/New_York"}, "outside the years 1 to 9999"),
        (DEEP, "nested deeper"),
        (MIXED, "no list of utterances"),
    ],
)
def test_one_odd_file_never_costs_the_others(tmp_path: Path, odd: Any, told: str) -> None:
    mapping = OWN.replace("started_at: at", "started_at: at, time_zone: zone")
    good = {"a": said("one", id="call-a"), "c": said("three", id="call-c")}

    done = run(put(tmp_path / "in", **good, b=odd), mapping)

    (refused,) = done.refused
    assert counts(done) == (3, 2, 0, 1, 0)
    assert (refused.file, told in refused.message) == ("b.json", True)


def test_a_file_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    source = put(tmp_path / "in", a=said("one"))
    (source / "a.json").rename(source / os.fsdecode(b"b\xff.json"))

    done = run(source, OWN)

    assert counts(done) == (1, 0, 0, 1, 0)
    assert done.refused[0].message == "its name isn't UTF-8"


def test_a_fault_of_ours_is_told_of_its_conversation_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(text: str) -> str:
        if "secret" in text:
            raise KeyError(text)
        return text.replace(" ", "-")

    monkeypatch.setattr(conversion, "uuid_of", fails)
    source = put(tmp_path / "in", a=said("one", id="x secret"), b=said("two", id="plain id"))

    done = run(source, OWN)

    (refused,) = done.refused
    assert counts(done) == (2, 1, 0, 1, 0)
    assert refused.message.startswith("unexpected KeyError at test_odd_conversions.py:")
    assert "secret" not in json.dumps(refused.message + refused.hint)


def test_channels_that_tell_the_time_of_day_are_overlaid_by_it(tmp_path: Path) -> None:
    def channel(who: str, *seconds: int) -> dict[str, Any]:
        turns = [
            {"who": who, "sec": f"2026-01-05T10:00:{sec:02d}+10:00", "text": f"{who}{sec}"}
            for sec in seconds
        ]
        return {"id": CALL, "said": turns}

    mapping = OWN.replace("{path: sec}", "{path: sec, time: iso}") + "legs: overlay\n"

    done = run(put(tmp_path / "in", a=channel("a", 0, 20), c=channel("c", 5)), mapping)

    assert counts(done) == (2, 1, 1, 0, 0)
    assert [(turn["text"], turn["start_offset_sec"]) for turn in files_of(done)[1]] == [
        ("a0", 0.0),
        ("c5", 5.0),
        ("a20", 20.0),
    ]


def test_a_redacted_call_wins_under_another_date_too(tmp_path: Path) -> None:
    mapping = OWN + "redacted: {path: red, any_of: [true]}\n"
    kept = put(tmp_path / "in", a=said("it is [PII]", id=CALL, red=True))
    run(kept, mapping, out=tmp_path / "out")
    later = said("it is 5550", id=CALL, red=False) | {"at": "2026-03-02T09:00:00+10:00"}

    done = run(put(tmp_path / "raw", a=later), mapping, out=tmp_path / "out", is_replacing=True)

    assert counts(done) == (1, 0, 0, 1, 0)
    assert done.refused[0].message.endswith(f"2026-03-01/{CALL} is redacted and this isn't")
    assert "5550" not in "".join(p.read_text("utf-8") for p in (tmp_path / "out").rglob("*.json"))


def test_what_was_expected_of_a_call_goes_with_it(tmp_path: Path) -> None:
    mapping, out = OWN + "expected: {scenario: case}\n", tmp_path / "out"
    first = put(tmp_path / "in", a=said("one", id=CALL, case="Paid twice"))
    folder = Path(run(first, mapping, out=out).written[0])
    again = sorted(path.name for path in folder.iterdir())

    run(put(tmp_path / "in2", a=said("two", id=CALL)), mapping, out=out, is_replacing=True)

    assert again == ["expected.json", "metadata.json", "transcription.json"]
    assert sorted(path.name for path in folder.iterdir()) == again[1:]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", "", "it holds no record"),
        ("a.csv", "id,text\n", "it holds no record"),
        ("", "", "the folder holds no file"),
    ],
)
def test_what_holds_nothing_is_refused(tmp_path: Path, name: str, content: str, told: str) -> None:
    source = put(tmp_path / "in")
    source.mkdir()
    if name:
        (source / name).write_text(content)
    mapping = OWN + (f"reads: {name[2:]}\n" if name else "")

    done = run(source, mapping)

    assert (counts(done), done.refused[0].message) == ((1, 0, 0, 1, 0), told)


@pytest.mark.parametrize("reads", ["json", "folder"])
def test_a_folder_that_cant_be_listed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: str
) -> None:
    source = put(tmp_path / "in", a=said("one", id=CALL), shut__b=said("two"))
    listed = os.scandir

    def shut(path: Any) -> Any:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", shut)
    monkeypatch.setattr(os, "listdir", lambda path: [each.name for each in shut(path)])

    done = run(source, OWN + f"reads: {reads}\n")

    told = [each.message for each in done.refused if each.file.endswith("shut")]
    assert told == ["the folder can't be listed: Permission denied"]


def test_the_output_is_no_input_of_the_next_run(tmp_path: Path) -> None:
    source = put(tmp_path / "in", a=said("one", id=CALL))
    run(source, OWN, out=source / "out")

    assert counts(run(source, OWN, out=source / "out")) == (1, 1, 0, 0, 0)


def test_equal_names_in_two_folders_are_told_by_their_paths(tmp_path: Path) -> None:
    sources = [put(tmp_path / name, call=said(name)) for name in ("x", "y")]

    done = run(sources, OWN)

    assert done.refused[0].message == (
        f"it has the conversation id of {(tmp_path / 'y' / 'call.json').as_posix()}"
    )
