from __future__ import annotations

import datetime as dt
import hashlib
import json
import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.conversation import (
    CONVERSATION_ID_PATTERN,
    FileKind,
    canonical_json,
    checked_id,
    ci_transcript_object,
    json_sha256,
    landing_object,
    parse_batch_date,
    sha256_hex,
    source_object,
)
from ingest.errors import InputError

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
IDS = st.from_regex(CONVERSATION_ID_PATTERN, fullmatch=True)


def shuffled(value: Any, rng: random.Random) -> Any:
    """Return equal JSON whose objects list their keys in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(inner, rng)) for key, inner in value.items()]
        rng.shuffle(items)
        return dict(items)
    return [shuffled(inner, rng) for inner in value] if isinstance(value, list) else value


@given(JSON, st.integers())
def test_order_of_keys_and_white_space_make_no_other_version(value: Any, seed: int) -> None:
    written = json.dumps(shuffled(value, random.Random(seed)), indent=3, ensure_ascii=False)

    assert json_sha256(orjson.loads(written)) == json_sha256(value)


@given(JSON)
def test_canonical_json_reads_back_and_stays_as_it_is(value: Any) -> None:
    text = canonical_json(value)

    assert orjson.loads(text) == value
    assert canonical_json(orjson.loads(text)) == text


@given(JSON, JSON)
def test_different_json_has_different_hashes(one: Any, other: Any) -> None:
    is_same = canonical_json(one) == canonical_json(other)

    assert (json_sha256(one) == json_sha256(other)) is is_same


def test_the_hash_is_sha256_of_the_bytes() -> None:
    assert sha256_hex(b"abc") == hashlib.sha256(b"abc").hexdigest()
    assert canonical_json({"b": 1.50, "a": "é"}) == '{"a":"é","b":1.5}'.encode()


@given(st.dates(), IDS, st.sampled_from(FileKind))
def test_an_object_name_says_date_id_and_kind(date: dt.date, id_: str, kind: FileKind) -> None:
    name = source_object(date, id_, kind)

    folder, found_id, file = name.split("/")
    assert (parse_batch_date(folder), found_id, file) == (date, id_, f"{kind.value}.json")
    assert ci_transcript_object(date, id_, b"{}") == (
        f"ci-transcripts/{folder}/{id_}/{sha256_hex(b'{}')}.json"
    )


def test_a_landing_batch_is_named_by_table_and_content() -> None:
    assert landing_object("pipeline_events", "0f") == "_landing/pipeline_events/0f.json.gz"


@pytest.mark.parametrize(
    "name", ["2026-02-30", "2026-1-05", "20260105", "", "2026-01-05x", "٢٠٢٦-01-05", "2026-01-05\n"]
)
def test_a_name_that_is_no_date_is_none(name: str) -> None:
    assert parse_batch_date(name) is None


@pytest.mark.parametrize(
    "value", ["", "abc", "../etc", "a/b-c", "ABCD", "a" * 65, "ab_cd", "abcd\n", "äbcd"]
)
def test_an_unsafe_id_is_refused(value: str) -> None:
    with pytest.raises(InputError) as caught:
        checked_id(value)

    assert caught.value.hint == "use 4 to 64 lower-case letters, digits or hyphens"
