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
        return str({}[text]) if "secret" in text else text.replace(" ", "-")

    monkeypatch.setattr(conversion, "uuid_of", fails)
    source = put(tmp_path / "in", a=said("one", id="x secret"), b=said("two", id="plain id"))

    done = run(source, OWN)

    (refused,) = done.refused
    assert counts(done) == (2, 1, 0, 1, 0)
    assert refused.message.startswith("unexpected KeyError at test_odd_conversions.py:")
    assert "secret" not in json.dumps(refused.message + refused.hint)
