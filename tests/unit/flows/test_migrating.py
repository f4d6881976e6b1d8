"""Which rows of the earlier pipeline's tables have a place, and what the others lack."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.flows.migrate import COLUMNS, ENRICHMENT, REGISTRY, Duplicate, Unplaced, place

ID = "call-0001"


def row(id_: str | None = ID, **changes: Any) -> dict[str, Any]:
    return {
        "conversation_id": id_,
        "ci_conversation_name": f"projects/1/locations/us-central1/conversations/{id_}",
        "transcript_uri_raw": f"gs://bucket/2026-01-06/{id_}/transcription.json",
        "metadata_uri_raw": f"gs://bucket/2026-01-06/{id_}/metadata.json",
        **changes,
    }


def test_a_whole_row_has_a_place_once_however_often_it_stands_there() -> None:
    found = place([row(), row()], [{"conversation_id": ID}] * 3)

    assert found.placed == (row(),)
    assert found.unplaced == ()
    assert found.duplicates == (Duplicate(REGISTRY, ID, 2), Duplicate(ENRICHMENT, ID, 3))


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([row("Call 1")], "its id is none that Insights takes"),
        ([row(None)], "its id is none that Insights takes"),
        ([row(transcript_uri_raw=None)], "its transcript_uri_raw is no address of a bucket"),
        ([row(metadata_uri_raw="local://x")], "its metadata_uri_raw is no address of a bucket"),
        ([row(ci_conversation_name=None)], "it never came to Insights"),
        ([row(ci_conversation_name="a/b/other")], "Insights holds it by another id"),
        (
            [row(), row(metadata_uri_raw="gs://bucket/x")],
            "its 2 rows differ in metadata_uri_raw",
        ),
    ],
)
def test_a_row_that_lacks_something_is_named(rows: list[dict[str, Any]], reason: str) -> None:
    found = place(rows, [])

    assert (found.placed, [each.reason for each in found.unplaced]) == ((), [reason])


def test_an_export_of_no_row_is_named_with_its_way_in() -> None:
    found = place([], [{"conversation_id": ID}])

    assert found.unplaced == (
        Unplaced(
            ENRICHMENT,
            ID,
            "conversation_registry has no row of it",
            f"if Insights holds it: ingest pull --ids {ID}",
        ),
    )


IDS = st.sampled_from(["call-0001", "call-0002", "call-0003", "No id"])
ROWS = st.builds(
    lambda id_, changes: row(id_) | changes,
    IDS,
    st.dictionaries(st.sampled_from(COLUMNS[REGISTRY][1:]), st.none(), max_size=1),
)


@given(st.lists(ROWS, max_size=8), st.lists(IDS, max_size=8))
def test_every_id_of_both_tables_is_placed_or_named(
    registry: list[dict[str, Any]], exported: list[str]
) -> None:
    found = place(registry, [{"conversation_id": id_} for id_ in exported])

    ids = {each["conversation_id"] for each in registry}
    named = [row_["conversation_id"] for row_ in found.placed]
    named += [each.id for each in found.unplaced]
    assert sorted(named) == sorted(ids | set(exported))
    counts = Counter(exported)
    assert [each.rows for each in found.duplicates if each.table == ENRICHMENT] == [
        count for count in counts.values() if count > 1
    ]
