from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.conversation import Metadata, Speaker, Transcription, sha256_hex
from ingest.domain.insights_format import (
    MAX_LABEL_CHARS,
    CiSubmission,
    ConversationVersion,
    SubmitAction,
    ci_labels,
    ci_submission,
    ci_transcript,
    submit_action,
)
from tests.fakes.folders import conversation_id, metadata, transcription

ID = conversation_id(3)
DAY = dt.date(2026, 1, 5)
TURNS = st.lists(
    st.tuples(
        st.sampled_from(Speaker),
        st.none() | st.sampled_from(["first", "second", "third"]),
        st.floats(0, 50_000),
    ),
    min_size=1,
    max_size=12,
)


def version(**changes: Any) -> ConversationVersion:
    return ConversationVersion(
        conversation_id=ID,
        batch_date=DAY,
        metadata=Metadata.model_validate(metadata(ID, **changes)),
        transcription=Transcription.model_validate(transcription(ID)),
        metadata_sha256="aa",
        transcript_sha256="bb",
    )


def talk(turns: list[tuple[Speaker, str | None, float]]) -> Transcription:
    return Transcription.model_validate(
        {
            "schema_version": "1.0",
            "conversation_id": ID,
            "turns": [
                {
                    "turn_index": index,
                    "speaker": speaker,
                    "participant_id": participant,
                    "start_offset_sec": offset,
                    "text": "x",
                }
                for index, (speaker, participant, offset) in enumerate(turns)
            ],
        }
    )


def test_the_ci_transcript_is_the_documented_format() -> None:
    made = version()

    assert orjson.loads(ci_transcript(made.metadata, made.transcription)) == {
        "entries": [
            {
                "role": "AGENT",
                "start_timestamp_usec": 1_767_567_600_000_000,
                "text": "Hello, Robin here.",
                "user_id": 2,
            },
            {
                "role": "CUSTOMER",
                "start_timestamp_usec": 1_767_567_602_500_000,
                "text": "Hi, what is it?",
                "user_id": 1,
            },
        ]
    }


@given(TURNS)
def test_a_user_id_is_one_person_and_one_person_has_one_user_id(
    turns: list[tuple[Speaker, str | None, float]],
) -> None:
    made = Metadata.model_validate(metadata(ID))

    entries = orjson.loads(ci_transcript(made, talk(turns)))["entries"]

    people = {(speaker, participant) for speaker, participant, _ in turns}
    ids = {
        (speaker, participant): entry["user_id"]
        for (speaker, participant, _), entry in zip(turns, entries, strict=True)
    }
    assert len(set(ids.values())) == len(people)
    firsts = {Speaker.CUSTOMER: 1, Speaker.AGENT: 2, Speaker.AUTOMATED_AGENT: 3}
    for (speaker, _, _), entry in zip(turns, entries, strict=True):
        assert entry["role"] == speaker.value
        assert entry["user_id"] == firsts[speaker] or entry["user_id"] > 3


@given(TURNS, st.integers(0, 4_000_000_000), st.integers(-14, 14))
def test_a_turn_starts_to_the_microsecond_whatever_the_offset(
    turns: list[tuple[Speaker, str | None, float]], epoch_sec: int, hours: int
) -> None:
    started_at = dt.datetime.fromtimestamp(epoch_sec, dt.timezone(dt.timedelta(hours=hours)))
    made = Metadata.model_validate(metadata(ID, started_at=started_at))

    entries = orjson.loads(ci_transcript(made, talk(turns)))["entries"]

    for (_, _, offset), entry in zip(turns, entries, strict=True):
        begun = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(
            microseconds=entry["start_timestamp_usec"]
        )
        expected = started_at + dt.timedelta(microseconds=round(offset * 1_000_000))
        assert begun == expected


def test_labels_say_version_batch_and_context() -> None:
    assert ci_labels(version(labels={"shift": "night"}, portfolio_id=None)) == {
        "schema_version": "1.0",
        "direction": "OUTBOUND",
        "business_line": "COLLECTIONS",
        "medium": "PHONE_CALL",
        "queue": "collections-outbound-late",
        "agent_team": "Late stage",
        "agent_site": "Hobart",
        "call_outcome": "NO_AGREEMENT",
        "shift": "night",
        "batch_date": "2026-01-05",
        "metadata_sha256": "aa",
        "transcript_sha256": "bb",
    }


def test_a_label_of_the_users_never_stands_in_for_one_of_ours() -> None:
    labels = ci_labels(
        version(labels={"portfolio_id": "x", "transcript_sha256": "y"}, portfolio_id=None)
    )

    assert "portfolio_id" not in labels
    assert labels["transcript_sha256"] == "bb"


def test_a_label_is_cut_to_what_ci_takes() -> None:
    assert ci_labels(version(queue="q" * 300))["queue"] == "q" * MAX_LABEL_CHARS


def test_a_submission_names_the_transcript_by_its_content() -> None:
    submission = ci_submission(version())

    sha256 = sha256_hex(submission.transcript_content)
    assert submission.transcript_object == f"ci-transcripts/2026-01-05/{ID}/{sha256}.json"
    assert submission.start_time == dt.datetime(2026, 1, 4, 23, 0, tzinfo=dt.UTC)
    assert (submission.agent_id, submission.agent_name) == ("AGT-7", "Robin Vale")
    assert (submission.agent_team, submission.agent_site) == ("Late stage", "Hobart")
    assert (submission.medium, submission.language_code) == ("PHONE_CALL", "en-AU")


def held_as(submission: CiSubmission) -> tuple[str, dict[str, str]]:
    return f"gs://bucket/{submission.transcript_object}", dict(submission.labels)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, SubmitAction.ADOPT),
        ({"queue": "other"}, SubmitAction.UPDATE),
        ({"labels": {"extra": "1"}}, SubmitAction.UPDATE),
        ({"started_at": "2026-01-05T09:00:01+10:00"}, SubmitAction.RECREATE),
        ({"medium": "CHAT"}, SubmitAction.RECREATE),
    ],
)
def test_what_is_done_depends_on_what_differs(
    change: dict[str, Any], expected: SubmitAction
) -> None:
    uri, labels = held_as(ci_submission(version()))

    found = submit_action(ci_submission(version(**change)), uri, "PHONE_CALL", labels)

    assert found is expected


def test_the_same_talk_in_a_later_folder_is_an_update() -> None:
    submission = ci_submission(version())
    uri, labels = held_as(submission)
    earlier = uri.replace("2026-01-05", "2026-01-02")

    assert submit_action(submission, earlier, "PHONE_CALL", labels) is SubmitAction.ADOPT
    assert (
        submit_action(submission, earlier, "PHONE_CALL", {**labels, "batch_date": "2026-01-02"})
        is SubmitAction.UPDATE
    )
