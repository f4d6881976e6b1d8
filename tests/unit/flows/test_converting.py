"""What `convert` does with records that meet, context, folders that are there, and odd input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.domain.converted import Converted
from ingest.errors import InputError
from ingest.flows.convert import Job, convert
from ingest.formats.engine import Engine
from ingest.formats.mapping_files import load_bundled, own_places, parse_mapping
from ingest.formats.reading import read_context
from tests.format_samples import DEFAULTS

CALL = "5b1f3c9a-0d27-4c54-9e11-4a7c2d90aa01"
START_MS = 1_767_655_800_000
OWN = """
mapping: 1
conversation: {source_id: {first: [id, {file: path}]}, started_at: at}
turns:
  from: said
  speaker: {path: who, map: {a: AGENT, c: CUSTOMER}, otherwise: AUTOMATED_AGENT}
  start: {path: sec}
  text: text
"""


def put(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        path = folder / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return folder


def run(source: Path | list[Path], mapping: str, **more: Any) -> Converted:
    """Convert by a bundled format or the YAML of a mapping, into `out` beside the source."""
    is_own = "mapping: 1" in mapping
    loaded = parse_mapping(mapping, "mapping.yaml") if is_own else load_bundled(mapping)
    sources = source if isinstance(source, list) else [source]
    own = own_places(mapping) if is_own else ()
    out = more.pop("out", sources[0].parent / "out")
    defaults = more.pop("defaults", DEFAULTS)
    return convert(Job(sources, Engine(loaded, own), out, defaults, **more))


def files_of(done: Converted, index: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    folder = Path(done.written[index])
    metadata = json.loads((folder / "metadata.json").read_text("utf-8"))
    return metadata, json.loads((folder / "transcription.json").read_text("utf-8"))["turns"]


def counts(done: Converted) -> tuple[int, int, int, int, int]:
    return (
        done.read,
        len(done.written),
        done.joined_records,
        len(done.refused),
        len(done.left_out),
    )


def leg(user: str, begin_sec: int, *texts: tuple[str, str, int], **more: Any) -> dict[str, Any]:
    phrases = [
        {
            "text": text,
            "participantPurpose": who,
            "startTimeMs": START_MS + at * 1000,
            "duration": {"milliseconds": 2000},
        }
        for who, text, at in texts
    ]
    return {
        "conversationId": CALL,
        "mediaType": "call",
        "conversationStartTime": START_MS,
        "startTime": START_MS + begin_sec * 1000,
        "duration": {"milliseconds": 20_000},
        "participants": [{"userId": user, "queueId": f"q-{user}", "initialDirection": "outbound"}],
        "transcripts": [{"language": "en-AU", "phrases": phrases}],
        **more,
    }


def said(*texts: str, **more: Any) -> dict[str, Any]:
    turns = [{"who": "ac"[i % 2], "sec": i * 5, "text": text} for i, text in enumerate(texts)]
    return {"at": "2026-03-01T09:00:00+10:00", "said": turns, **more}


def test_legs_of_one_call_are_joined_in_the_order_of_time(tmp_path: Path) -> None:
    source = put(
        tmp_path / "in",
        first=leg("second", 100, ("internal", "leg two", 100), ("external", "yes", 105)),
        second=leg("first", 0, ("internal", "leg one", 0), ("external", "hello", 5)),
    )

    done = run(source, "genesys")

    metadata, turns = files_of(done)
    assert counts(done) == (2, 1, 1, 0, 0)
    assert [(turn["text"], turn["start_offset_sec"], turn["end_offset_sec"]) for turn in turns] == [
        ("leg one", 0.0, 2.0),
        ("hello", 5.0, 7.0),
        ("leg two", 100.0, 102.0),
        ("yes", 105.0, 107.0),
    ]
    facts = [metadata[name] for name in ("direction", "agent_id", "queue", "duration_sec")]
    assert facts == ["OUTBOUND", "first", "q-first", 120.0]
    assert [file["name"] for file in metadata["source"]["files"]] == ["second.json", "first.json"]
    assert [joined.files for joined in done.joined] == [("second.json", "first.json")]


def test_equal_ids_are_refused_all_named_without_a_rule(tmp_path: Path) -> None:
    source = put(tmp_path / "in", a__call=said("one"), b__call=said("two"))

    done = run(source, OWN.replace("{file: path}", "{file: stem}"))

    assert counts(done) == (2, 0, 0, 2, 0)
    assert [(each.file, each.message) for each in done.refused] == [
        ("a/call.json", "it has the conversation id of b/call.json"),
        ("b/call.json", "it has the conversation id of a/call.json"),
    ]
    assert "source_id: {file: path}" in done.refused[0].hint


def test_two_named_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    put(tmp_path, a__call=said("one"), b__call=said("two"))
    mapping = OWN.replace("{file: path}", "{file: stem}")

    done = run([tmp_path / "a" / "call.json", tmp_path / "b" / "call.json"], mapping)

    assert [each.file for each in done.refused] == ["a/call.json", "b/call.json"]


def test_lines_that_only_the_extended_format_has_give_no_warning(tmp_path: Path) -> None:
    entries = [{"text": "x", "role": "AGENT", "start_timestamp_usec": 0}]
    source = put(tmp_path / "in", a={"entries": entries, "id": CALL})
    mapping = "mapping: 1\nextends: google-ci\nconversation: {source_id: id, queue: kew}\n"

    done = run(source, mapping)

    assert [each.place for each in done.warnings] == ["conversation.queue"]


def test_a_record_without_the_list_of_the_mapping_gets_lines_that_fit(tmp_path: Path) -> None:
    other = {"id": CALL, "parts": [{"speaker": "x", "start": 0, "text": "some words here"}]}

    done = run(put(tmp_path / "in", a=other), OWN)

    assert (done.refused[0].line, "  from: parts" in done.refused[0].hint) == ("turns.from", True)
    assert "some words" not in repr(done)


def test_files_named_alike_are_two_calls_by_a_rule_of_the_mapping(tmp_path: Path) -> None:
    source = put(tmp_path / "in", a__call=said("one"), b__call=said("two"))

    done = run(source, OWN)

    assert counts(done) == (2, 2, 0, 0, 0)
    assert {files_of(done, index)[1][0]["text"] for index in (0, 1)} == {"one", "two"}


def test_the_same_record_twice_is_one(tmp_path: Path) -> None:
    source = put(tmp_path / "in", a=said("one", id=CALL), b=said("one", id=CALL))

    done = run(source, OWN)

    assert counts(done) == (2, 1, 0, 0, 1)
    assert done.left_out[0].reason == "a.json says the same"


def contact_lens(text: str, output: str) -> dict[str, Any]:
    return {
        "Channel": "VOICE",
        "ContentMetadata": {"Output": output},
        "CustomerMetadata": {"ContactId": CALL},
        "Transcript": [
            {"ParticipantRole": "AGENT", "Content": "Your number?", "BeginOffsetMillis": 0},
            {"ParticipantRole": "CUSTOMER", "Content": text, "BeginOffsetMillis": 1500},
        ],
    }


@pytest.mark.parametrize("turned", [False, True])
def test_the_redacted_one_wins_whatever_the_order(tmp_path: Path, turned: bool) -> None:
    at = "2026-03-01T01_00_00Z"
    put(tmp_path, **{f"x_analysis_{at}": contact_lens("it is 5550", "Raw")})
    put(tmp_path, **{f"x_analysis_redacted_{at}": contact_lens("it is [PII]", "Redacted")})
    sources = [tmp_path / f"x_analysis_{at}.json", tmp_path / f"x_analysis_redacted_{at}.json"]

    done = run(sources[::-1] if turned else sources, "contact-lens")

    metadata, turns = files_of(done)
    assert counts(done) == (2, 1, 0, 0, 1)
    assert turns[1]["text"] == "it is [PII]"
    assert (metadata["started_at"], metadata["source"]["redacted"]) == (
        "2026-03-01T09:00:00+08:00",
        True,
    )
    assert done.left_out[0].file == f"x_analysis_{at}.json"


def test_an_unredacted_file_never_replaces_a_redacted_one_of_an_earlier_run(tmp_path: Path) -> None:
    source = put(tmp_path / "in", a=contact_lens("it is [PII]", "Redacted"))
    run(source, "contact-lens", out=tmp_path / "out")
    other = put(tmp_path / "raw", b=contact_lens("it is 5550", "Raw"))

    done = run(other, "contact-lens", out=tmp_path / "out", is_replacing=True)

    assert counts(done) == (1, 0, 0, 1, 0)
    assert "is redacted and this isn't" in done.refused[0].message
    assert "5550" not in "".join(p.read_text("utf-8") for p in (tmp_path / "out").rglob("*.json"))


def test_a_folder_of_other_files_is_replaced_only_when_asked(tmp_path: Path) -> None:
    run(put(tmp_path / "in", a=said("one", id=CALL)), OWN, out=tmp_path / "out")
    other = put(tmp_path / "in2", a=said("two", id=CALL))

    kept = run(other, OWN, out=tmp_path / "out")
    replaced = run(other, OWN, out=tmp_path / "out", is_replacing=True)

    assert counts(kept) == (1, 0, 0, 1, 0)
    assert "--replace" in kept.refused[0].hint
    assert (counts(replaced), files_of(replaced)[1][0]["text"]) == ((1, 1, 0, 0, 0), "two")


def test_a_file_a_channel_is_overlaid(tmp_path: Path) -> None:
    def channel(*texts: tuple[float, str]) -> dict[str, Any]:
        segments = [{"start": at, "end": at + 1, "text": text} for at, text in texts]
        return {"duration": 9, "language": "english", "segments": segments}

    source = put(
        tmp_path / "in",
        c1_agent=channel((0.0, "hello"), (6.0, "sure")),
        c1_customer=channel((3.0, "help")),
    )

    done = run(source, "whisper")

    assert counts(done) == (2, 1, 1, 0, 0)
    assert [(t["speaker"], t["text"]) for t in files_of(done)[1]] == [
        ("AGENT", "hello"),
        ("CUSTOMER", "help"),
        ("AGENT", "sure"),
    ]


def test_legs_without_a_start_are_refused(tmp_path: Path) -> None:
    lone = {"said": [{"who": "a", "sec": 0, "text": "x"}], "id": CALL}
    source = put(tmp_path / "in", a=lone, b={**lone, "note": 1})

    done = run(source, OWN + "legs: append\n")

    assert counts(done) == (2, 0, 0, 2, 0)
    assert "one has no start" in done.refused[0].message


def test_one_odd_utterance_never_costs_the_call(tmp_path: Path) -> None:
    odd = leg("u", 0, ("internal", "one", 0), ("voicemail", "two", 3), ("martian", "three", 6))
    odd["transcripts"][0]["phrases"].append(
        {"participantPurpose": "external", "startTimeMs": START_MS + 9000, "words": [{"w": "x"}]}
    )
    source = put(tmp_path / "in", a=odd)

    done = run(source, "genesys")

    metadata, turns = files_of(done)
    assert [(turn["speaker"], turn["text"]) for turn in turns] == [
        ("AGENT", "one"),
        ("AUTOMATED_AGENT", "two"),
        ("AUTOMATED_AGENT", "three"),
    ]
    assert [warned.rule for warned in done.warnings] == ["no_text", "unknown_speaker"]
    (file,) = metadata["source"]["files"]
    assert [each["words"] for each in file["not_turns"]] == [[{"w": "x"}]]


def test_an_utterance_without_a_speaker_is_kept_where_others_have_one(tmp_path: Path) -> None:
    mapping = OWN.replace(", otherwise: AUTOMATED_AGENT", "")
    odd = said("one", "two", id=CALL)
    odd["said"].append({"sec": 20, "text": "beep"})

    done = run(put(tmp_path / "in", a=odd), mapping)

    assert [turn["speaker"] for turn in files_of(done)[1]] == [
        "AGENT",
        "CUSTOMER",
        "AUTOMATED_AGENT",
    ]
    assert [each.rule for each in done.warnings] == ["unknown_speaker"]


def test_two_agents_stay_two_and_the_first_is_the_agent(tmp_path: Path) -> None:
    def message(who: str, name: str, text: str, second: int) -> dict[str, Any]:
        return {
            "Type": "MESSAGE",
            "ParticipantId": who,
            "ParticipantRole": "CUSTOMER" if who == "c" else "AGENT",
            "DisplayName": name,
            "Content": text,
            "AbsoluteTime": f"2026-03-01T01:00:{second:02d}Z",
        }

    chat = [message("a2", "Bo", "billing", 40), message("a1", "Ada", "hello", 0)]
    chat.append(message("c", "Kim", "help", 10))
    source = put(tmp_path / "in", a={"ContactId": CALL, "Transcript": chat})

    done = run(source, "connect-chat")

    metadata, turns = files_of(done)
    assert [(t["participant_id"], t["text"]) for t in turns] == [
        ("a1", "hello"),
        ("c", "help"),
        ("a2", "billing"),
    ]
    assert (metadata["agent_id"], metadata["agent_name"], metadata["medium"]) == (
        "a1",
        "Ada",
        "CHAT",
    )


def test_unsorted_moments_are_sorted_and_date_from_the_earliest(tmp_path: Path) -> None:
    usec = 1_675_813_229_000_000
    entries = [
        {"text": "second", "role": "AGENT", "start_timestamp_usec": usec + 1_000_000},
        {"text": "first", "role": "CUSTOMER", "start_timestamp_usec": usec},
    ]
    source = put(tmp_path / "in", a={"entries": entries})

    metadata, turns = files_of(run(source, "google-ci"))

    assert [(t["text"], t["start_offset_sec"]) for t in turns] == [("first", 0.0), ("second", 1.0)]
    assert metadata["started_at"] == "2023-02-08T07:40:29+08:00"


@pytest.mark.parametrize(
    ("usec", "told"),
    [
        ([1_675_813_229, 1_675_813_240], "all utterances would lie within one second"),
        ([1_675_813_229_000, 1_675_813_240_000], "the call would last 466 hours"),
    ],
)
def test_an_implausible_unit_is_a_fault(tmp_path: Path, usec: list[int], told: str) -> None:
    entries = [{"text": "x", "role": "AGENT", "start_timestamp_usec": each} for each in usec]
    source = put(tmp_path / "in", a={"entries": entries})

    done = run(source, "google-ci")

    assert counts(done) == (1, 0, 0, 1, 0)
    assert told in done.refused[0].message


def test_the_same_talk_on_both_sides_is_a_warning(tmp_path: Path) -> None:
    source = put(tmp_path / "in", a=said("hello", "hello", "bye", "bye", id=CALL))

    done = run(source, OWN)

    assert [each.rule for each in done.warnings] == ["same_talk_on_both_sides"]


def test_facts_of_the_file_win_over_context_and_context_over_defaults(tmp_path: Path) -> None:
    table = tmp_path / "calls.csv"
    table.write_text(
        "contact,queue,direction,agent_name,crm_case\n"
        f"{CALL},q-table,INBOUND,Ada,C-7\nother,x,INBOUND,Y,Z\n",
        "utf-8-sig",
    )
    source = put(tmp_path / "in", a=leg("first", 0, ("internal", "hi", 0)))

    done = run(source, "genesys", context=read_context(table, None))

    metadata, _ = files_of(done)
    assert [metadata[name] for name in ("queue", "direction", "agent_name", "agent_team")] == [
        "q-first",
        "OUTBOUND",
        "Ada",
        "Support",
    ]
    assert metadata["source"]["files"][0]["context"] == {"contact": CALL, "crm_case": "C-7"}
    assert [each.message for each in done.warnings] == ["1 rows of the context table fit no file"]


def test_context_says_who_is_who(tmp_path: Path) -> None:
    table = tmp_path / "calls.json"
    table.write_text(json.dumps({"x.json": {"speakers": "B=AGENT A=CUSTOMER"}}), "utf-8")
    talk = [
        {"speaker": speaker, "start": index * 1000, "end": index * 1000 + 500, "text": "t"}
        for index, speaker in enumerate("AB")
    ]
    source = put(tmp_path / "in", x={"id": CALL, "audio_duration": 5, "utterances": talk})

    refused = run(source, "assemblyai")
    done = run(source, "assemblyai", context=read_context(table, None))

    assert "--speakers 'A=AGENT B=CUSTOMER'" in refused.refused[0].hint
    assert [turn["speaker"] for turn in files_of(done)[1]] == ["CUSTOMER", "AGENT"]


@pytest.mark.parametrize("content", ["id,q\na,1\na,2\n", "[1]", ""])
def test_a_context_table_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    table = tmp_path / ("t.json" if content == "[1]" else "t.csv")
    table.write_text(content, "utf-8")

    with pytest.raises(InputError, match=f"the context {table.name}: "):
        read_context(table, None)


def test_paths_that_are_in_no_file_are_a_warning_of_ones_own_mapping(tmp_path: Path) -> None:
    mapping = OWN.replace("text: text", "text: {first: [Txt, text]}\n  confidence: sure")
    source = put(tmp_path / "in", a=said("one", id=CALL))

    done = run(source, mapping)

    assert [(each.place, each.message) for each in done.warnings] == [
        ("turns.confidence", "sure was found in no file"),
        ("turns.text.first.0", "Txt was found in no file"),
    ]


def test_an_unknown_role_or_a_bad_value_is_never_quoted(tmp_path: Path) -> None:
    mapping = OWN.replace(", otherwise: AUTOMATED_AGENT", "")
    bad = said("one", id=CALL)
    bad["said"][0]["sec"] = "SECRET NAME"
    odd = said("x") | {"said": [{"who": "SECRET", "sec": 0, "text": "x"}]}
    source = put(tmp_path / "in", a=bad, b=odd)

    done = run(source, mapping)

    assert [(each.file, each.place, each.line) for each in done.refused] == [
        ("a.json", "/said/0", "turns.start"),
        ("b.json", "/said/0", "turns.speaker"),
    ]
    assert "SECRET" not in repr(done)
    assert done.refused[0].message == "a time is no number but a string"


def test_a_partly_readable_file_goes_on(tmp_path: Path) -> None:
    lines = [json.dumps(said("one", id=CALL)), "{", json.dumps(said("two", id=CALL[:-1] + "2"))]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text("\n".join(lines), "utf-8-sig")
    put(tmp_path / "in", note="not read")

    done = run(tmp_path / "in", OWN.replace("mapping: 1", "mapping: 1\nreads: jsonl"))

    assert counts(done) == (4, 2, 0, 1, 1)
    assert (done.refused[0].place, done.left_out[0].file) == ("line 2", "note.json")


def test_a_named_file_of_another_format_is_refused_with_its_format(tmp_path: Path) -> None:
    put(tmp_path, a=leg("first", 0, ("internal", "hi", 0)))

    done = run([tmp_path / "a.json"], "twilio")

    assert done.refused[0].hint == "it looks like genesys: --from genesys"


def test_missing_facts_are_named_with_the_lines_that_would_give_them(tmp_path: Path) -> None:
    source = put(tmp_path / "in", a=said("one", id=CALL))

    few = {name: value for name, value in DEFAULTS.items() if name not in ("queue", "medium")}
    done = run(source, OWN, defaults=few)

    (refused,) = done.refused
    assert refused.message == "neither the transcript nor the defaults give a usable medium, queue"
    assert "medium: …, queue: …" in refused.hint


def test_what_is_expected_of_test_data_goes_to_its_own_file(tmp_path: Path) -> None:
    mapping = OWN + "expected: {scenario: case, flags: risks, next_actions: todo}\n"
    labelled = said("one", id=CALL, case="Paid twice", risks=["VULNERABLE"], todo="call-back")
    done = run(put(tmp_path / "in", a=labelled), mapping)

    became = json.loads((Path(done.written[0]) / "expected.json").read_text("utf-8"))
    assert became == {
        "schema_version": "1.0",
        "conversation_id": CALL,
        "scenario": "paid_twice",
        "flags": ["vulnerable"],
        "next_actions": ["call_back"],
    }


UNITS = st.lists(
    st.tuples(
        st.sampled_from(["one", "two", "three"]),
        st.sampled_from(["whole", "broken", "textless", "foreign"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(units=UNITS, rule=st.sampled_from(["refuse", "append", "overlay"]))
def test_everything_that_is_read_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, units: list[tuple[str, str, bool]], rule: str
) -> None:
    folder = tmp_path_factory.mktemp("in")
    for index, (name, kind, is_redacted) in enumerate(units):
        content: Any = said(f"text {index}", id=f"call-{name}", red=is_redacted)
        content |= {"textless": {"said": [{"who": "a"}]}, "foreign": {"other": 1}}.get(kind, {})
        put(folder, **{f"f{index}": "{" if kind == "broken" else content})
    mapping = OWN + f"legs: {rule}\nredacted: {{path: red, any_of: [true]}}\n"

    done = run(folder, mapping + "when: {path: other, is: absent}\n", out=folder / "out")

    read, written, joined, refused, left = counts(done)
    assert read == len(units) == written + joined + refused + left
    assert len(set(done.written)) == written
    raw = {i for i, (n, k, red) in enumerate(units) if not red}
    for index in range(written):
        metadata, _ = files_of(done, index)
        of_file = {int(file["name"][1:-5]) for file in metadata["source"]["files"]}
        assert not of_file & raw or metadata["source"]["redacted"] is False
