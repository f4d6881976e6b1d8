"""Versions of files and what differs between them, without a warehouse."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import InputError
from ingest.flows.diff import chosen, compare_versions, versions_of_files

T0 = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def file_row(kind: str, generation: int, run_id: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": kind,
        "generation": generation,
        "content_sha256": repr(payload),
        "payload": payload,
        "run_id": run_id,
        "landed_at": T0,
    }


ROWS = [
    file_row("metadata", 1, "r1", {"queue": "a", "agent_notes": "secret"}),
    file_row("transcription", 2, "r1", {"turns": [{"turn_index": 0, "text": "one"}]}),
    file_row("metadata", 3, "r2", {"queue": "a", "agent_notes": "secret"}),
    file_row("metadata", 4, "r3", {"queue": "b", "agent_notes": "other"}),
    file_row("transcription", 5, "r3", {"turns": [{"turn_index": 0, "text": "two"}]}),
]


@given(st.permutations(ROWS))
def test_versions_are_ordered_by_generation_whatever_the_order_of_rows(
    rows: list[dict[str, Any]],
) -> None:
    versions = versions_of_files(rows)

    assert [(version.number, version.run_id) for version in versions] == [(1, "r1"), (2, "r3")]


def test_content_that_comes_back_is_its_old_version() -> None:
    third = [
        file_row("metadata", 6, "r4", {"queue": "a", "agent_notes": "secret"}),
        file_row("transcription", 7, "r4", {"turns": [{"turn_index": 0, "text": "one"}]}),
    ]

    versions = versions_of_files([*ROWS, *third])

    assert [(version.number, version.run_id) for version in versions] == [
        (1, "r1"),
        (2, "r3"),
        (1, "r4"),
    ]


def test_the_newest_two_of_one_are_that_one_twice() -> None:
    assert chosen(["a"], [], {"a": "a"}, "version", "conv") == ("a", "a")
    assert chosen(["a", "b", "c"], [], {}, "version", "conv") == ("b", "c")


def test_nothing_landed_has_no_difference() -> None:
    with pytest.raises(InputError, match="no version of conv has landed"):
        chosen([], [], {}, "version", "conv")


def test_a_field_that_nobody_declared_is_shown_by_hash_alone() -> None:
    versions = versions_of_files(
        [
            file_row("metadata", number, f"r{number}", {"queue": number, "caller": f"Ann {number}"})
            for number in (1, 2)
        ]
    )

    found = compare_versions("conv", *versions, with_text=False).fields

    assert [change.field for change in found] == ["caller", "queue"]
    assert str(found[0].before).startswith("sha256:")
    assert (found[1].before, found[1].after) == (1, 2)


def test_a_difference_of_versions_holds_no_words_unless_asked() -> None:
    first, second = versions_of_files(ROWS)

    silent = repr(compare_versions("conv", first, second, with_text=False))
    spoken = repr(compare_versions("conv", first, second, with_text=True))

    assert [word in silent for word in ("secret", "other", "one'", "two'")] == [False] * 4
    assert [word in spoken for word in ("secret", "other", "one'", "two'")] == [True] * 4
