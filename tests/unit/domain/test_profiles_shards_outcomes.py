from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.annotators import (
    AnnotatorProfile,
    AppliedMatcher,
    Selector,
    profile_sha256_of_analysis,
)
from ingest.domain.conversation import Region, Shard, parse_shard, region_of
from ingest.domain.outcome import BatchReport, Failure, ItemState, Outcome, Step
from ingest.domain.raw_records import MAX_MESSAGE_CHARS, StepEvent, event_row, timestamp
from ingest.errors import ExitCode, InputError

T0 = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def matcher(**changes: Any) -> AppliedMatcher:
    fields: dict[str, Any] = {
        "matcher_id": "1",
        "display_name": "empathy",
        "revision_id": "r1",
        "revised_at": T0,
        "is_active": True,
    }
    return AppliedMatcher(**{**fields, **changes})


def test_the_profile_asks_for_four_annotators_and_names_active_matchers_only() -> None:
    profile = AnnotatorProfile(False, (matcher(), matcher(matcher_id="2", is_active=False)))

    assert profile.selector == Selector(
        frozenset(
            {
                "run_sentiment_annotator",
                "run_entity_annotator",
                "run_intent_annotator",
                "run_phrase_matcher_annotator",
            }
        ),
        frozenset({"1"}),
    )
    assert AnnotatorProfile(True, ()).selector.flags == {
        "run_sentiment_annotator",
        "run_entity_annotator",
        "run_intent_annotator",
        "run_summarization_annotator",
    }


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (AnnotatorProfile(False, (matcher(),)), True),
        (AnnotatorProfile(False, (matcher(display_name="renamed"),)), True),
        (AnnotatorProfile(False, (matcher(), matcher(matcher_id="2", is_active=False))), True),
        (AnnotatorProfile(False, (matcher(revision_id="r2"),)), False),
        (AnnotatorProfile(False, (matcher(matcher_id="2"),)), False),
        (AnnotatorProfile(False, ()), False),
        (AnnotatorProfile(True, (matcher(),)), False),
    ],
)
def test_the_profile_hash_changes_with_what_changes_results(
    other: AnnotatorProfile, is_same: bool
) -> None:
    profile = AnnotatorProfile(False, (matcher(),))

    assert (profile.sha256 == other.sha256) is is_same


def test_the_order_of_matchers_makes_no_other_profile() -> None:
    one, two = matcher(), matcher(matcher_id="2")

    assert AnnotatorProfile(False, (one, two)).sha256 == AnnotatorProfile(False, (two, one)).sha256


@pytest.mark.parametrize(("asked_for_sec", "is_current"), [(-1, False), (0, True), (1, True)])
def test_an_analysis_asked_for_before_a_revision_did_not_use_it(
    asked_for_sec: int, is_current: bool
) -> None:
    profile = AnnotatorProfile(False, (matcher(revised_at=T0),))
    requested_at = T0 + dt.timedelta(seconds=asked_for_sec)

    found = profile_sha256_of_analysis(profile.selector, requested_at, profile)

    assert (found == profile.sha256) is is_current


def test_an_analysis_with_other_annotators_is_of_another_profile() -> None:
    profile = AnnotatorProfile(False, (matcher(),))
    other = AnnotatorProfile(True, (matcher(),)).selector

    assert profile_sha256_of_analysis(other, T0, profile) != profile.sha256


@given(st.text(min_size=1, max_size=64), st.integers(1, 12))
def test_exactly_one_shard_takes_a_conversation(id_: str, count: int) -> None:
    assert sum(Shard(index, count).takes(id_) for index in range(count)) == 1


def test_shards_are_of_about_one_size_and_the_same_on_every_machine() -> None:
    ids = [f"call-{number:05d}" for number in range(4_000)]

    sizes = [sum(Shard(index, 4).takes(id_) for id_ in ids) for index in range(4)]

    # Kept: another split would move conversations between the tasks of a running job.
    assert sizes == [1000, 1004, 1028, 968]
    assert min(sizes) > 900


REGIONS = st.lists(
    st.builds(Region, st.sampled_from("pqr"), st.sampled_from("abc")),
    min_size=1,
    max_size=5,
    unique=True,
)


@given(st.from_regex(r"[a-z0-9-]{4,64}", fullmatch=True), REGIONS, st.randoms())
def test_a_region_that_is_added_takes_conversations_and_moves_none_between_others(
    id_: str, regions: list[Region], rng: Any
) -> None:
    before = region_of(id_, regions[:-1]) if regions[:-1] else regions[-1]
    shuffled = rng.sample(regions, len(regions))

    assert region_of(id_, shuffled) == region_of(id_, regions)
    assert region_of(id_, regions) in (before, regions[-1])


def test_regions_take_about_as_many_each_also_of_one_shard() -> None:
    ids = [f"conversation-{number}" for number in range(8000)]
    regions = [Region("p", location) for location in ("a", "b", "c", "d")]
    of_shard = [id_ for id_ in ids if Shard(1, 4).takes(id_)]
    sizes = [sum(region_of(id_, regions) == region for id_ in of_shard) for region in regions]

    assert sizes == [pytest.approx(len(of_shard) / 4, rel=0.12)] * 4


def test_a_shard_is_written_as_i_of_n() -> None:
    assert parse_shard("3/4") == Shard(3, 4)


@pytest.mark.parametrize("text", ["4/4", "-1/4", "1", "1/0", "a/b", "1/4/2", "", " 1/4"])
def test_a_shard_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_shard(text)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (ItemState.DONE, ExitCode.OK),
        (ItemState.UNCHANGED, ExitCode.OK),
        (ItemState.WAITING, ExitCode.SOME_FAILED),
        (ItemState.INVALID, ExitCode.SOME_FAILED),
        (ItemState.INTERRUPTED, ExitCode.SOME_FAILED),
    ],
)
def test_only_done_and_unchanged_are_success(state: ItemState, code: ExitCode) -> None:
    report = BatchReport()
    report.count(ItemState.DONE, 3)
    report.count(state)

    assert report.exit_code is code


def test_a_failure_counts_and_an_interrupt_outranks_it() -> None:
    report = BatchReport()
    report.fail([Failure("abcd", Step.SUBMIT, "UNAVAILABLE", "no")])

    # Nothing but a service that gave no answer is in the way.
    assert (report.states[ItemState.FAILED], report.exit_code) == (1, ExitCode.REMOTE)
    report.fail([Failure("efgh", Step.SUBMIT, "INVALID_ARGUMENT", "no")])
    assert (report.states[ItemState.FAILED], report.exit_code) == (2, ExitCode.SOME_FAILED)
    report.is_interrupted = True
    assert report.exit_code is ExitCode.INTERRUPTED


def event(**changes: Any) -> StepEvent:
    fields: dict[str, Any] = {
        "conversation_id": "abcd",
        "batch_date": T0.date(),
        "step": Step.SUBMIT,
        "outcome": Outcome.FAILED,
        "started_at": T0,
        "ended_at": T0 + dt.timedelta(milliseconds=1500),
    }
    return StepEvent(**{**fields, **changes})


def test_an_event_row_holds_utc_times_and_a_message_of_bounded_length() -> None:
    east = dt.timezone(dt.timedelta(hours=10))
    row = event_row(event(started_at=T0.astimezone(east), error_message="m" * 900), "run-1").values

    assert row["started_at"] == "2026-01-05T00:00:00.000000Z"
    assert row["ended_at"] == "2026-01-05T00:00:01.500000Z"
    assert row["error_message"] == "m" * MAX_MESSAGE_CHARS
    assert row["batch_date"] == "2026-01-05"


@pytest.mark.parametrize(
    "change",
    [
        {"conversation_id": "efgh"},
        {"step": Step.ANALYSE},
        {"outcome": Outcome.SUCCEEDED},
        {"resource_name": "gs://b/o"},
        {"started_at": T0 + dt.timedelta(microseconds=1)},
    ],
)
def test_events_that_differ_have_different_ids(change: dict[str, Any]) -> None:
    assert (
        event_row(event(**change), "run-1").values["event_id"]
        != event_row(event(), "run-1").values["event_id"]
    )
    assert (
        event_row(event(), "run-2").values["event_id"]
        != event_row(event(), "run-1").values["event_id"]
    )


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_a_timestamp_reads_back_to_the_microsecond(moment: dt.datetime) -> None:
    assert dt.datetime.fromisoformat(timestamp(moment)) == moment
