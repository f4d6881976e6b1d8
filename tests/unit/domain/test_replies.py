"""What counts as a difference between two services' replies."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.replies import Reply, ReplyDifference, compare, read_replies


def analysis(**fields: Any) -> dict[str, Any]:
    return {"@": "Analysis", **fields}


SENTIMENT = {"@": "SentimentData", "score": 0.5, "magnitude": 0.5}
METHODS = st.sampled_from(("GetAnalysis", "ListAnalyses"))
BODIES = st.builds(
    lambda name, scores: analysis(
        name=name, sentiments=[{**SENTIMENT, "score": s} for s in scores]
    ),
    st.sampled_from(("text", "projects/*")),
    st.lists(st.floats(-1, 1), max_size=3),
)
REPLIES = st.lists(
    st.builds(Reply, st.sampled_from(("one", "two")), METHODS, st.just("OK"), BODIES)
)


@given(REPLIES, st.randoms())
def test_equal_replies_in_any_order_and_number_have_no_difference(replies: Any, rng: Any) -> None:
    again = replies * 2
    rng.shuffle(again)
    assert compare(replies, again) == ()


@given(REPLIES, REPLIES)
def test_differences_are_those_of_the_other_way_round_turned(one: Any, other: Any) -> None:
    turned = {(d.message, d.field, d.emulator, d.service, d.cases) for d in compare(other, one)}
    assert turned == {
        (d.message, d.field, d.service, d.emulator, d.cases) for d in compare(one, other)
    }


def test_fields_enums_codes_and_calls_differ_and_numbers_do_not() -> None:
    service = [
        Reply("a", "GetAnalysis", "OK", analysis(state="READY", sentiments=[SENTIMENT])),
        Reply("a", "DeleteAnalysis", "NOT_FOUND", None),
        Reply("b", "GetAnalysis", "OK", analysis(sentiments=[{**SENTIMENT, "score": -1.0}])),
    ]
    emulator = [
        Reply("a", "GetAnalysis", "OK", analysis(state="DONE", sentiments=[SENTIMENT])),
        Reply("a", "DeleteAnalysis", "INTERNAL", None),
        Reply("b", "GetAnalysis", "OK", analysis(sentiments=[SENTIMENT], name="text")),
        Reply("b", "ListAnalyses", "OK", {"@": "ListAnalysesResponse"}),
        Reply("c", "GetAnalysis", "OK", analysis(name="text")),
    ]
    assert compare(service, emulator) == (
        ReplyDifference("Analysis", "name", (), ("text",), ("b",)),
        ReplyDifference("Analysis", "state", ("READY",), ("DONE",), ("a",)),
        ReplyDifference("DeleteAnalysis", "code", ("NOT_FOUND",), ("INTERNAL",), ("a",)),
        ReplyDifference("ListAnalyses", "call", (), ("made",), ("b",)),
        ReplyDifference("ListAnalyses", "code", (), ("OK",), ("b",)),
    )


def test_a_record_that_was_cut_off_is_read_up_to_there() -> None:
    reply = Reply("a", "GetAnalysis", "OK", analysis(name="text"))
    line = json.dumps(asdict(reply))
    assert read_replies([line, line[:20]]) == [reply]
