"""Every kind of bad input in `bad_inputs.jsonl` is one clear line, and the good ones go through.

A case changes fields of one file (`file`, `set`, `without`), gives its bytes (as Latin-1, each part
with its number), or names the folder; `line` is what a push says, without the folder's place.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ingest.cli._output import show_faults
from ingest.domain.faults import Fault
from ingest.domain.outcome import ItemState
from ingest.errors import ExitCode
from ingest.flows.conversation_run import PushReport
from tests.fakes.folders import DATE, conversation_id, metadata, transcription, write, write_many
from tests.fakes.world import World

Case = Mapping[str, Any]
CASES: list[Case] = [
    json.loads(line)
    for line in Path(__file__).with_name("bad_inputs.jsonl").read_text("utf-8").splitlines()
]
GOOD = 3


def fields_of(case: Case, id_: str) -> dict[str, Any]:
    """Return the file of a case whose fields are changed."""
    made = metadata(id_) if case["file"] == "metadata" else transcription(id_)
    changed = made["turns"][1] if case["file"] == "turn" else made
    changed.update(case.get("set", {}))
    changed.pop(case.get("without"), None)
    return made


def write_case(root: Path, id_: str, case: Case) -> str:
    """Write the conversation of a case; return what its line's place begins with."""
    kind = case.get("file", "metadata").replace("turn", "transcription")
    if "date" in case:
        (root / case["date"] / id_).mkdir(parents=True)
        return str(case["date"])
    if "folder" in case:
        (root / DATE / case["folder"]).mkdir()
        return f"{DATE}/{case['folder']}"
    if "bytes" in case:
        content = b"".join(part.encode("latin-1") * times for part, times in case["bytes"])
        write(root, id_, **{kind: content})
    elif "odd" in case:
        file = write(root, id_, **{kind: None}) / f"{kind}.json"
        if case["odd"] == "folder":
            file.mkdir()
        elif case["odd"] == "neither":
            file.with_name("transcription.json").unlink()
        else:
            outside = root.parent / "outside.json"
            outside.write_text("{}")
            file.symlink_to(outside if case["odd"] == "link out" else root / "nothing.json")
    else:
        write(root, id_, **{kind: fields_of(case, id_)})
    return f"{DATE}/{id_}"


def ids_of_cases() -> list[str]:
    """Return the ids of the cases, in their order."""
    return [conversation_id(1000 + number) for number in range(len(CASES))]


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> tuple[PushReport, list[str]]:
    """Push all cases at once; return the report, and the place of each case."""
    root = tmp_path_factory.mktemp("bad") / "source"
    write_many(root, GOOD)
    places = [write_case(root, *each) for each in zip(ids_of_cases(), CASES, strict=True)]
    return asyncio.run(World().push(root)), places


def is_at(fault: Fault, place: str) -> bool:
    """Return whether a fault is of that place or of a file in it."""
    return fault.file == place or fault.file.startswith(f"{place}/")


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case["name"] for case in CASES])
def test_a_bad_input_is_one_clear_line(
    pushed: tuple[PushReport, list[str]], number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    report, places = pushed
    place = places[number]

    show_faults([fault for fault in report.faults if is_at(fault, place)])

    told = capsys.readouterr()
    assert told.err.replace(place, "…", 1) == f"{CASES[number]['line']}\n"
    assert told.out == ""


def test_the_good_ones_go_through_and_the_bad_ones_are_counted(
    pushed: tuple[PushReport, list[str]],
) -> None:
    report, places = pushed

    assert +report.states == {ItemState.DONE: GOOD, ItemState.INVALID: len(CASES)}
    assert report.exit_code is ExitCode.SOME_FAILED
    assert [fault for fault in report.faults if not any(is_at(fault, p) for p in places)] == []


def test_every_line_says_what_is_wrong_where_and_what_to_do() -> None:
    shape = re.compile(r"error: …[^ ]*: [^(]+.* \([a-z0-9].+\)")

    assert [case["line"] for case in CASES if not shape.fullmatch(case["line"])] == []
    assert len(CASES) >= 150
    assert len({case["name"] for case in CASES}) == len(CASES)
