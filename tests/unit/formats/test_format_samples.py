"""Every bundled format: its sample becomes what is expected, and is found by itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from ingest.datagen.maker import Maker
from ingest.datagen.profile import load_profile
from ingest.domain.conversation import Metadata, Transcription
from ingest.domain.converted import Converted
from ingest.domain.insights_format import ci_transcript
from ingest.domain.validation import check_conversation
from ingest.flows.convert import Job, convert
from ingest.formats.conversion import build
from ingest.formats.detecting import fitting
from ingest.formats.engine import Engine, FileName
from ingest.formats.mapping_files import load_bundled
from ingest.formats.paths import MappingError
from ingest.formats.reading import How, Record, records_of
from tests.format_samples import (
    DEFAULTS,
    NAMES,
    README,
    SAMPLES,
    SPEAKERS,
    convert_sample,
    expected_bytes,
    expected_file,
    readme,
    sample,
)

SEEDS = Path(__file__).parents[3] / "seeds"
BOTS = {"retell", "elevenlabs"}
REPEATS = {"azure-batch": "/combinedRecognizedPhrases"}
"""What a format says twice, and its mapping ignores."""
IN_ONE_FILE = [name for name in NAMES if name != "cc-coach"]


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_becomes_what_is_expected(name: str) -> None:
    assert expected_file(name).read_bytes() == expected_bytes(name), (
        "run python -m tests.format_samples and read what changed"
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_sample_says_the_same_three_turns(name: str) -> None:
    became = orjson.loads(expected_file(name).read_bytes())
    ours = "AUTOMATED_AGENT" if name in BOTS else "AGENT"

    turns = [
        (t["speaker"], t["start_offset_sec"], t["text"]) for t in became["transcription"]["turns"]
    ]
    assert turns == [
        (ours, 0.0, "Thanks for calling, this call is being recorded."),
        ("CUSTOMER", 4.25, "Hi, what's my payout figure?"),
        (ours, 7.9, "Let me look that up for you."),
    ]
    metadata = Metadata.model_validate(became["metadata"])
    talk = Transcription.model_validate(became["transcription"])
    faults = check_conversation(
        metadata.conversation_id, dt.date.fromisoformat(became["date"]), metadata, talk
    )
    assert {fault.rule for fault in faults} <= {"id_not_uuid"}


def test_the_table_of_formats_is_fresh() -> None:
    assert README.read_text(encoding="utf-8") == readme(), "run python -m tests.format_samples"


def test_every_sample_is_of_a_format() -> None:
    assert {path.name.partition(".")[0] for path in SAMPLES.iterdir()} == {*NAMES, "context"}


def marked(value: Any, path: str, marks: dict[str, str]) -> Any:
    """Return the value with a field of its own in every object that has fields."""
    if isinstance(value, list):
        return [marked(each, f"{path}/{index}", marks) for index, each in enumerate(value)]
    if not isinstance(value, dict) or not value:
        return value
    marks[f"mark-{len(marks):04d}"] = path
    mine = {"zz_unknown": f"mark-{len(marks) - 1:04d}"}
    return {key: marked(each, f"{path}/{key}", marks) for key, each in value.items()} | mine


@pytest.mark.parametrize("name", [name for name in NAMES if sample(name).suffix == ".json"])
def test_a_field_that_no_mapping_knows_is_kept_wherever_it_stands(
    name: str, tmp_path: Path
) -> None:
    marks: dict[str, str] = {}
    record = marked(orjson.loads(sample(name).read_bytes()), "", marks)
    file = tmp_path / sample(name).name
    file.write_bytes(orjson.dumps(record))

    done = convert(
        Job([file], Engine(load_bundled(name)), tmp_path / "out", DEFAULTS, None, SPEAKERS)
    )

    (folder,) = map(Path, done.written)
    files = [path.read_text(encoding="utf-8") for path in folder.iterdir()]
    lost = {path for mark, path in marks.items() if not any(mark in text for text in files)}
    assert {path for path in lost if not path.startswith(REPEATS.get(name, " "))} == set()
    assert any("zz_unknown" in each.path for each in done.leftovers)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    inner = value.items() if isinstance(value, dict) else ()
    for key, each in enumerate(value) if isinstance(value, list) else inner:
        yield from places(each, (*at, key))


def with_value(value: Any, at: tuple[Any, ...], put: Any) -> Any:
    if not at:
        return put
    copied = value.copy()
    copied[at[0]] = with_value(value[at[0]], at[1:], put)
    return copied


@pytest.mark.parametrize("name", [name for name in NAMES if sample(name).suffix == ".json"])
def test_a_null_or_another_type_anywhere_gives_a_call_or_a_refusal(name: str) -> None:
    engine = Engine(load_bundled(name))
    record = orjson.loads(sample(name).read_bytes())
    nulls_refused = 0
    for index, at in enumerate(places(record)):
        for put in (None, ("x", 7, [None], {}, True)[index % 5]):
            odd = with_value(record, at, put)
            if not engine.takes(odd):
                continue
            try:
                draft = engine.draft(odd, engine.scope(FileName("x.json"), odd, None, SPEAKERS))
                build(draft, (DEFAULTS,), {"format": name, "files": [draft.rest]}, 24)
            except MappingError:
                nulls_refused += put is None

    assert nulls_refused <= 2, "vendors write null where they have nothing"


@pytest.mark.parametrize("name", IN_ONE_FILE)
def test_a_sample_fits_its_own_format_alone(name: str) -> None:
    mapping = load_bundled(name)
    how = How(mapping.reads)
    record = records_of(How.of(mapping), {"x": sample(name).read_bytes()})[0]
    assert isinstance(record, Record)
    assert how.reads == mapping.reads

    assert fitting(record.value, mapping.reads) == [name]


@cache
def our_conversations() -> list[tuple[Metadata, Transcription]]:
    profile = load_profile().model_copy(update={"turn_ends_share": 0.0})
    maker = Maker(5, profile, dt.date(2026, 1, 5), 1, SEEDS)
    return [
        (Metadata.model_validate(made.metadata), Transcription.model_validate(made.transcription))
        for made in (maker.make(index) for index in range(40))
        if made.metadata["medium"] == "PHONE_CALL" and "transferred" not in made.expected["flags"]
    ]


def as_contact_lens(metadata: Metadata, talk: Transcription) -> dict[str, Any]:
    roles = {"AGENT": "AGENT", "CUSTOMER": "CUSTOMER", "AUTOMATED_AGENT": "SYSTEM"}
    return {
        "Channel": "VOICE",
        "CustomerMetadata": {"ContactId": metadata.conversation_id},
        "LanguageCode": metadata.language_code,
        "Participants": [{"ParticipantId": f"p-{r}", "ParticipantRole": r} for r in roles.values()],
        "ConversationCharacteristics": {
            "TotalConversationDurationMillis": int(metadata.duration_sec * 1000)
        },
        "Transcript": [
            {
                "ParticipantId": f"p-{roles[turn.speaker.value]}",
                "Id": str(turn.turn_index),
                "Content": turn.text,
                "BeginOffsetMillis": round(turn.start_offset_sec * 1000),
                "EndOffsetMillis": round(turn.start_offset_sec * 1000) + 100,
            }
            for turn in talk.turns
        ],
    }


def as_genesys(metadata: Metadata, talk: Transcription) -> dict[str, Any]:
    start = round(metadata.started_at.timestamp() * 1000)
    purposes = {"AGENT": "internal", "CUSTOMER": "external", "AUTOMATED_AGENT": "ivr"}
    phrases = [
        {
            "phraseIndex": turn.turn_index,
            "participantPurpose": purposes[turn.speaker.value],
            "text": turn.text.lower(),
            "decoratedText": turn.text,
            "startTimeMs": start + round(turn.start_offset_sec * 1000),
            "duration": {"milliseconds": 100},
        }
        for turn in talk.turns
    ]
    return {
        "conversationId": metadata.conversation_id,
        "mediaType": "call",
        "startTime": start,
        "duration": {"milliseconds": int(metadata.duration_sec * 1000)},
        "transcripts": [{"language": metadata.language_code, "phrases": phrases}],
    }


def as_twilio(metadata: Metadata, talk: Transcription) -> dict[str, Any]:
    channels = {"CUSTOMER": 1, "AGENT": 2, "AUTOMATED_AGENT": 3}
    roles = {1: "customer", 2: "agent", 3: "virtual_agent"}
    return {
        "transcript": {
            "sid": metadata.conversation_id,
            "media_start_time": metadata.started_at.astimezone(dt.UTC).isoformat(),
            "duration": int(metadata.duration_sec),
            "language_code": metadata.language_code,
            "channel": {
                "participants": [
                    {"channel_participant": number, "role": role} for number, role in roles.items()
                ]
            },
        },
        "sentences": [
            {
                "media_channel": channels[turn.speaker.value],
                "sentence_index": turn.turn_index,
                "start_time": str(turn.start_offset_sec),
                "end_time": str(round(turn.start_offset_sec + 0.1, 3)),
                "transcript": turn.text,
            }
            for turn in talk.turns
        ],
    }


WRITERS: dict[str, Callable[[Metadata, Transcription], dict[str, Any]]] = {
    "contact-lens": as_contact_lens,
    "genesys": as_genesys,
    "twilio": as_twilio,
}
CONTEXT = {"schema_version", "conversation_id", "labels", "source", "duration_sec", "ended_at"}


def one(folder: Path, name: str, content: bytes, defaults: dict[str, Any]) -> Converted:
    file = folder / "file.json"
    file.write_bytes(content)
    return convert(Job([file], Engine(load_bundled(name)), folder / "out", defaults))


def written(done: Converted) -> tuple[Metadata, Transcription]:
    (folder,) = map(Path, done.written)
    return (
        Metadata.model_validate_json((folder / "metadata.json").read_bytes()),
        Transcription.model_validate_json((folder / "transcription.json").read_bytes()),
    )


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_a_conversation_in_a_foreign_format_reads_back_the_same(name: str, tmp_path: Path) -> None:
    for metadata, talk in our_conversations():
        foreign = orjson.dumps(WRITERS[name](metadata, talk))

        read, read_talk = written(one(tmp_path, name, foreign, metadata.model_dump(mode="json")))

        spoken = [(t.speaker, t.start_offset_sec, t.text.strip()) for t in talk.turns]
        assert [(t.speaker, t.start_offset_sec, t.text) for t in read_talk.turns] == spoken
        assert {t.end_offset_sec for t in read_talk.turns} == {
            round(t.start_offset_sec + 0.1, 3) for t in talk.turns
        }
        told = read.model_dump(exclude=CONTEXT | {"agent_id"})
        assert told == metadata.model_dump(exclude=CONTEXT | {"agent_id"})
        assert read.conversation_id == metadata.conversation_id


def test_a_transcript_in_insights_format_reads_back_the_same_talk(tmp_path: Path) -> None:
    for metadata, talk in our_conversations()[:10]:
        file = tmp_path / f"{metadata.conversation_id}.json"
        file.write_bytes(ci_transcript(metadata, talk))
        defaults = metadata.model_dump(mode="json")
        done = convert(Job([file], Engine(load_bundled("google-ci")), tmp_path / "out", defaults))

        read, read_talk = written(done)

        first = talk.turns[0].start_offset_sec
        assert [(t.speaker, t.text, t.start_offset_sec) for t in read_talk.turns] == [
            (t.speaker, t.text, round(t.start_offset_sec - first, 3)) for t in talk.turns
        ]
        assert read.started_at == metadata.started_at + dt.timedelta(seconds=first)


@pytest.mark.parametrize("name", IN_ONE_FILE)
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"Transcript": [1]}', b'{"entries": []}'])
def test_another_file_is_refused_or_left_out_whole(
    name: str, content: bytes, tmp_path: Path
) -> None:
    done = one(tmp_path, name, content, DEFAULTS)

    assert done.written == ()
    assert done.read == len(done.refused)


def test_the_sample_of_a_format_is_converted_twice_without_a_change(tmp_path: Path) -> None:
    convert_sample("genesys", tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}

    done = convert_sample("genesys", tmp_path)

    assert (len(done.written), done.refused) == (1, ())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before
