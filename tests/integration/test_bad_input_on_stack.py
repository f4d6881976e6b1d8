from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from push_command import Command, left_on
from stack_fixture import Stack

from tests.fakes.folders import DATE, metadata, transcription, write

pytestmark = pytest.mark.stack


def id_of(number: int) -> str:
    return str(UUID(int=(9 << 100) + number))


def turns(id_: str, **change: Any) -> dict[str, Any]:
    """Return a transcript whose second turn is changed."""
    made = transcription(id_)
    made["turns"][1].update(change)
    return made


def write_bad(root: Path) -> dict[str, str]:
    """Write one conversation for each kind of bad input; return what its line must hold."""
    ids = iter(id_of(number) for number in range(100, 120))
    expected: dict[str, str] = {}

    def add(place: str, says: str, **files: Any) -> Path:
        id_ = next(ids)
        expected[f"{DATE}/{id_}{place}"] = says
        made = {kind: make(id_) if callable(make) else make for kind, make in files.items()}
        return write(root, id_, **made)

    add("", "neither metadata.json nor transcription.json", metadata=None, transcription=None)
    add("/metadata.json", "isn't JSON", metadata=b'{"schema_version": "1.0",')
    add(
        "/transcription.json",
        "isn't plain UTF-8 at byte 11",
        transcription=b'{"a": "Gr\xc3\xbc\xdf"}',
    )
    add(
        "/transcription.json#/turns/1/speaker",
        "input should be 'AGENT', 'AUTOMATED_AGENT' or 'CUSTOMER'",
        transcription=lambda id_: turns(id_, speaker="BOSS"),
    )
    add(
        "/transcription.json#/turns/1/start_offset_sec",
        "greater than or equal to 0",
        transcription=lambda id_: turns(id_, start_offset_sec=-1.0),
    )
    folder = add(
        "/transcription.json#/turns/1/start_offset_sec",
        "the turn starts at 2 s, the one before at 9 s",
        transcription=lambda id_: turns(id_, start_offset_sec=2.0),
    )
    unordered = json.loads((folder / "transcription.json").read_text())
    unordered["turns"][0]["start_offset_sec"] = 9.0
    (folder / "transcription.json").write_text(json.dumps(unordered))
    add(
        "/metadata.json#/conversation_id",
        "conversation_id and the folder's name differ",
        metadata=lambda id_: metadata(id_of(999)),
    )
    add(
        "/transcription.json#/turns",
        "the list is empty",
        transcription=lambda id_: transcription(id_, turns=[]),
    )
    folder = add("/transcription.json", "50,000,000 bytes, the limit is 8,000,000")
    with (folder / "transcription.json").open("wb") as file:
        file.truncate(50_000_000)
    folder = add("/metadata.json", "a link that leads out of the source", metadata=None)
    (root.parent / "elsewhere.json").write_text("{}")
    (folder / "metadata.json").symlink_to(root.parent / "elsewhere.json")
    outside = write(root.parent / "outside", id_of(500))
    (root / DATE / id_of(500)).symlink_to(outside)
    expected[f"{DATE}/{id_of(500)}"] = "a link that leads out of the source"
    for name in ("..", "call..1", "../x"):
        folder_name = name.replace("/", "_") if name != ".." else "..evil"
        (root / DATE / folder_name).mkdir()
        expected[f"{DATE}/{folder_name}"] = "no conversation id"
    return expected


def test_every_bad_input_is_one_clear_line_and_the_good_ones_go_through(
    stack: Stack, tmp_path: Path
) -> None:
    command = Command(stack)
    root = tmp_path / "source"
    good = [id_of(number) for number in range(3)]
    for id_ in good:
        write(root, id_)
    expected = write_bad(root)
    before = left_on(command).objects

    ended = command.run("push", root)
    as_json = command.push(root)

    lines = ended.lines("error: ")
    by_place = {line.split(": ")[1]: line for line in lines}
    assert sorted(by_place) == sorted(expected)
    assert len(lines) == len(expected)
    for place, says in expected.items():
        assert says in by_place[place]
        assert by_place[place].endswith(")")
    assert ended.exit_code == 1
    assert as_json.exit_code == 1
    assert as_json.states == {"unchanged": 3, "invalid": len(expected)}
    after = left_on(command).objects
    assert {name.split("/")[-2] for name in after.keys() - before.keys()} <= set(good)
    assert set(good) <= {name.split("/")[-2] for name in after if "/" in name}


def test_no_line_tells_what_was_said(stack: Stack, tmp_path: Path) -> None:
    secret = "my card is 5500 0000 0000 0004"
    id_ = id_of(700)
    made = turns(id_, text=secret, start_offset_sec="late")
    write(tmp_path, id_, transcription=made)
    cut = json.dumps(transcription(id_of(701), secret, secret)).encode()[:-20]
    write(tmp_path, id_of(701), transcription=cut)

    ended = Command(stack).run("push", tmp_path)

    assert ended.exit_code == 1
    assert len(ended.lines("error: ")) == 2
    assert secret not in ended.stderr + ended.stdout


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("none", "isn't a folder"),
        ("empty", "no date folder"),
        ("gs://", "no bucket address"),
        ("", "the source is empty"),
    ],
)
def test_a_source_that_cannot_be_is_a_usage_error(
    stack: Stack, tmp_path: Path, source: str, says: str
) -> None:
    (tmp_path / "empty").mkdir()
    where = tmp_path / source if source in ("none", "empty") else source

    ended = Command(stack).run("push", where)

    assert ended.exit_code == 2
    assert says in ended.lines("error: ")[0]
    assert len(ended.lines("hint: ")) == 1


def test_a_name_that_is_no_text_is_told_all_the_same(stack: Stack, tmp_path: Path) -> None:
    write(tmp_path, id_of(800))
    (tmp_path / DATE).joinpath("caf\udce9").mkdir()

    plain = Command(stack).run("push", tmp_path)
    as_json = Command(stack).push(tmp_path)

    assert (plain.exit_code, as_json.exit_code) == (1, 1)
    assert plain.lines("error: ")[0].startswith(f"error: {DATE}/caf?: ")
    assert as_json.states == {"unchanged": 1, "invalid": 1}
