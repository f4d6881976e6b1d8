"""The verbs of a mapping: what each makes of a value, and how it says that it can't."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jmespath
import jsonschema
import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import InputError
from ingest.formats.detecting import cure_for, proposal
from ingest.formats.engine import Draft, Engine, FileName
from ingest.formats.explaining import explanation
from ingest.formats.mapping import MappingFile
from ingest.formats.mapping_files import (
    bundled_names,
    load_bundled,
    parse_mapping,
    schema_bytes,
    schema_file,
)
from ingest.formats.paths import MappingError, Tree, compile_path
from ingest.formats.reading import How, Record, Unread, load_json, read_context, records_of
from ingest.formats.times import TimeError, moment, seconds_of
from ingest.formats.values import Scope
from tests.format_samples import sample

TURNS = """
turns:
  from: said
  speaker: {path: who, map: {a: AGENT, c: CUSTOMER}}
  start: {path: sec}
  text: text
"""
RECORD = {"said": [{"who": "a", "sec": 0, "text": "hi"}, {"who": "c", "sec": 4, "text": "ho"}]}


def draft(mapping: str, record: Mapping[str, Any], name: str = "x.json", **scope: Any) -> Draft:
    engine = Engine(parse_mapping("mapping: 1\n" + mapping, "m.yaml"))
    return engine.draft(record, Scope(FileName(name).parts(engine.pattern), scope))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("{path: a.b}", "x"),
        ("a.b", "x"),
        ("{first: [none, a.b]}", "x"),
        ("{const: fixed}", "fixed"),
        ("{file: stem}", "call_77"),
        ("{file: number}", "77"),
        ("{context: team}", "blue"),
        ("{path: a.b, map: {X: ours}}", "ours"),
        ("{path: a.b, map: {y: ours}, otherwise: other}", "other"),
        ("{path: a.b, map: {y: ours}}", "x"),
        ("{path: yes_no, map: {NO: refused}}", "refused"),
        ("{path: flag, map: {true: set}}", "set"),
        ("{path: number, map: {1: one}}", "one"),
        ("{path: long, pattern: 'case ([0-9]+)'}", "42"),
        ("{path: long, pattern: 'nothing'}", None),
        ("{path: key, look_up: names}", "Ada"),
        ("{of_first: CUSTOMER, path: who}", "c"),
        ("none", None),
    ],
)
def test_a_value_comes_from_where_its_verbs_say(value: str, found: str | None) -> None:
    mapping = f"file: '_(?P<number>[0-9]+)'\nconversation: {{queue: {value}}}\n{TURNS}"
    mapping += "tables: {names: {from: people, key: id, value: name}}\n"
    record = {
        **RECORD,
        "a": {"b": "x"},
        "yes_no": "no",
        "flag": True,
        "number": 1.0,
        "long": "see case 42",
        "key": 7,
        "people": [{"id": "7", "name": "Ada"}],
    }

    made = draft(mapping, record, "call_77.json", team="blue")

    assert made.fields.get("queue") == found


@pytest.mark.parametrize(
    ("unit", "value", "seconds"),
    [
        ("s", "1.25", 1.25),
        ("ms", 1250, 1.25),
        ("us", "1250000", 1.25),
        ("ns", 1_250_000_000, 1.25),
        ("ticks", 12_500_000, 1.25),
        ("duration", "1.25s", 1.25),
        ("duration", "PT1M1.25S", 61.25),
        ("duration", "P1DT1H", 90_000.0),
        ("duration", "00:01:01.250", 61.25),
        ("duration", "01:01,25", 61.25),
    ],
)
def test_units_become_seconds(unit: str, value: Any, seconds: float) -> None:
    assert seconds_of(unit)(value) == seconds


@pytest.mark.parametrize("value", [True, None, "nan", "1e999", "SECRET", [], {}])
@pytest.mark.parametrize("unit", ["s", "duration"])
def test_what_is_no_time_is_refused_by_its_type(unit: str, value: Any) -> None:
    with pytest.raises(TimeError) as caught:
        seconds_of(unit)(value)

    assert "SECRET" not in caught.value.reason


@given(st.floats(0, 1e6, allow_nan=False))
def test_a_length_is_the_same_in_every_unit(seconds: float) -> None:
    rounded = round(seconds, 3)
    for unit, per in (("s", 1), ("ms", 1e3), ("us", 1e6), ("ticks", 1e7)):
        assert seconds_of(unit)(rounded * per) == rounded
    assert seconds_of("duration")(f"{rounded:.3f}s") == rounded


@pytest.mark.parametrize(
    ("value", "form", "zone", "ambiguous", "found"),
    [
        ("2026-01-05T23:30:00Z", "iso", None, None, "2026-01-05T23:30:00+00:00"),
        (1767655800, "epoch_s", None, None, "2026-01-05T23:30:00+00:00"),
        ("1767655800000", "epoch_ms", None, None, "2026-01-05T23:30:00+00:00"),
        (
            "05/01/2026 10:30",
            "%d/%m/%Y %H:%M",
            "Australia/Sydney",
            None,
            "2026-01-05T10:30:00+11:00",
        ),
        ("2026-04-05T02:30:00", "iso", "Australia/Sydney", "first", "2026-04-05T02:30:00+11:00"),
        ("2026-04-05T02:30:00", "iso", "Australia/Sydney", "second", "2026-04-05T02:30:00+10:00"),
    ],
)
def test_moments_have_an_offset(
    value: Any, form: str, zone: str | None, ambiguous: str | None, found: str
) -> None:
    assert moment(value, form, zone, ambiguous).isoformat() == found


@pytest.mark.parametrize(
    ("value", "zone", "told"),
    [
        ("2026-04-05T02:30:00", "Australia/Sydney", "came twice when the clocks went back"),
        ("2026-10-04T02:30:00", "Australia/Sydney", "was skipped when the clocks went forward"),
        ("2026-04-05T12:30:00", None, "has no zone"),
        ("2026-04-05T12:30:00", "Nowhere/Land", "a zone isn't one that IANA names"),
        ("SECRET", None, "a string is no time of the form iso"),
    ],
)
def test_a_wall_time_that_isnt_one_moment_is_refused(
    value: str, zone: str | None, told: str
) -> None:
    with pytest.raises(TimeError, match=told) as caught:
        moment(value, "iso", zone, None)

    assert "SECRET" not in caught.value.reason + caught.value.hint


ZONES = ["Australia/Sydney", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]


@given(
    st.integers(946_684_800, 1_893_456_000).map(lambda sec: dt.datetime.fromtimestamp(sec, dt.UTC)),
    st.sampled_from(ZONES),
)
def test_a_wall_time_of_one_moment_reads_back(utc: dt.datetime, zone: str) -> None:
    wall = utc.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    both = {moment(wall.isoformat(), "iso", zone, which) for which in ("first", "second")}

    assert utc in both


def test_speakers_are_swapped_by_the_context() -> None:
    mapping = TURNS.replace("c: CUSTOMER}", "c: CUSTOMER}, swap: {context: swapped}")

    plain, swapped = (
        [turn["speaker"] for turn in draft(mapping, RECORD, swapped=said).turns]
        for said in ("no", "yes")
    )

    assert (plain, swapped) == (["AGENT", "CUSTOMER"], ["CUSTOMER", "AGENT"])


def test_words_become_turns_by_who_says_them() -> None:
    mapping = """
turns:
  from: words
  group_runs_by: by
  speaker: {path: first.by, map: {1: AGENT, 2: CUSTOMER}}
  start: {path: first.at}
  end: {path: last.at}
  text: "join(' ', items[].w)"
"""
    said = [("a", 1), ("b", 1), ("c", 2), ("d", 1)]
    words = [{"w": w, "by": by, "at": at, "sure": 1} for at, (w, by) in enumerate(said)]

    made = draft(mapping, {"words": words})

    assert [(t["speaker"], t["text"], t["end_offset_sec"]) for t in made.turns] == [
        ("AGENT", "a b", 1.0),
        ("CUSTOMER", "c", 2.0),
        ("AGENT", "d", 3.0),
    ]
    assert made.turns[1]["source"] == {"items": [{"sure": 1}]}


def test_custom_fields_have_types_and_a_wrong_one_stays_as_it_is() -> None:
    custom = {
        "score": "{path: score, type: integer}",
        "paid": "{path: paid, type: boolean}",
        "due": "{path: due, type: date}",
        "ratio": "{path: ratio, type: number}",
        "odd": "{path: odd, type: integer}",
    }
    lines = "".join(f"  {name}: {value}\n" for name, value in custom.items())
    values = {"score": "7", "paid": "yes", "due": "2026-03-01", "ratio": "0.5", "odd": "x"}

    made = draft(f"custom:\n{lines}{TURNS}", RECORD | values)

    assert made.custom == {"score": 7, "paid": True, "due": "2026-03-01", "ratio": 0.5, "odd": "x"}
    assert list(made.warnings) == [
        ("wrong_custom_type", "custom.odd", "a string is no integer; it stays as it is")
    ]


@pytest.mark.parametrize(
    ("yaml_text", "told"),
    [
        (
            "mapping: 1\nturns:\n  from: a\n  speaker: s\n  text: t\n  start: {path: x, unti: s}\n",
            "m.yaml:6: turns.start: unknown key unti; did you mean unit?",
        ),
        (
            "mapping: 1\nconversation:\n  agnt_id: x\nturns: {from: a, speaker: s, text: t}\n",
            "conversation: unknown field agnt_id; did you mean agent_id?",
        ),
        ("mapping: 2\nturns: {from: a, speaker: s, text: t}\n", "m.yaml:1: mapping: "),
        ("mapping: 1\n", "m.yaml:1: turns: the key is missing"),
        ("mapping: [\n", "m.yaml:2: no YAML"),
        ("- a\n", "m.yaml is no mapping"),
        ("mapping: 1\nextends: nonsense\n", "unknown format 'nonsense'"),
        (
            "mapping: 1\nturns: {from: 'a[', speaker: s, text: t}\n",
            "turns.from: 'a[' is no JMESPath expression, see character 3",
        ),
        (
            "mapping: 1\nturns: {from: a, speaker: s, text: {path: t, pattern: '('}}\n",
            "turns.text: no regular expression",
        ),
        (
            "mapping: 1\nturns: {from: a, speaker: s, text: {path: t, look_up: no}}\n",
            "turns.text: there's no table no",
        ),
        (
            "mapping: 1\nturns: {from: a, speaker: s, text: {file: no}}\n",
            "turns.text: the `file` pattern has no group no",
        ),
        (
            "mapping: 1\nredacted: {file: no}\nturns: {from: a, speaker: s, text: t}\n",
            "redacted: the `file` pattern has no group no",
        ),
        (
            "mapping: 1\nturns: {from: a, split: '(', speaker: s, text: t}\n",
            "turns.split: no regular expression",
        ),
        ("mapping: 1\nabout: \x01\n", "m.yaml: no YAML: a control character"),
        ("mapping: 1\ntables: &a {b: *a}\n", "m.yaml: it holds itself"),
        (f'mapping: 1\ndelimiter: "\\n"\n{TURNS}', "delimiter: no character that parts cells"),
        (f"mapping: 1\ndefaults: {{labels: foo}}\n{TURNS}", "labels are no names with values"),
        (f"mapping: 1\ndefaults: {{5: x}}\n{TURNS}", "defaults.5: Input should be a valid string"),
        (f"mapping: 1\ndefaults: {{custom: {{1: x}}}}\n{TURNS}", "none of JSON"),
        (f"mapping: 1\ndefaults: {{custom: {{a: {2**70}}}}}\n{TURNS}", "none of JSON"),
    ],
)
def test_a_wrong_mapping_is_told_with_its_place(yaml_text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        Engine(parse_mapping(yaml_text, "m.yaml"))

    assert told in caught.value.message


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ("", "turns.text"),
        ("labels: {team: odd}\n", "labels.team"),
        ("conversation: {source_id: odd}\n", "conversation.source_id"),
    ],
)
@pytest.mark.parametrize("odd", [{"name": "secret"}, ["secret"]])
def test_an_object_or_a_list_is_no_text(lines: str, place: str, odd: Any) -> None:
    turns = TURNS if lines else TURNS.replace("text: text", "text: odd")
    record = {"said": [{**turn, "odd": odd} for turn in RECORD["said"]], "odd": odd}

    with pytest.raises(MappingError) as caught:
        draft(lines + turns, record)

    assert (caught.value.place, "secret" in f"{caught.value}{caught.value.hint}") == (place, False)


def test_a_function_of_another_type_is_refused_without_the_value() -> None:
    mapping = TURNS.replace("text: text", "text: \"starts_with(text, 'x')\"")

    with pytest.raises(MappingError) as caught:
        draft(mapping, {"said": [{"who": "a", "sec": 0, "text": {"SECRET": 1}}]})

    assert (caught.value.place, caught.value.keys) == ("turns.text", ("said", 0))
    assert "SECRET" not in f"{caught.value.reason} {caught.value.hint}"


def test_extends_takes_a_bundled_format_and_changes_what_it_names() -> None:
    base = load_bundled("google-ci")

    made = parse_mapping(
        "mapping: 1\nextends: google-ci\nname: ours\n"
        "conversation: {source_id: {file: path}}\nturns: {participant_id: who}\n",
        "m.yaml",
    )

    assert (made.name, made.conversation["source_id"].file) == ("ours", "path")
    assert (made.turns[0].from_, made.turns[0].speaker) == ("entries", base.turns[0].speaker)
    assert made.turns[0].participant_id is not None
    assert made.turns[0].participant_id.path == "who"


def test_the_published_schema_takes_every_bundled_mapping() -> None:
    folder = Path(__file__).parents[3] / "ingest"
    assert schema_file().read_bytes() == schema_bytes(), (
        "run python -m ingest.formats.mapping_files"
    )
    schema = orjson.loads(schema_bytes())
    validator = jsonschema.Draft202012Validator(schema)

    assert schema["properties"].keys() >= MappingFile.model_fields.keys()
    for name in bundled_names():
        fields = yaml.safe_load(
            (folder / "formats" / "mappings" / f"{name}.yaml").read_text("utf-8")
        )
        assert [error.json_path for error in validator.iter_errors(fields)] == [], name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=12,
)


@given(JSON, st.lists(st.sampled_from("abc"), min_size=1, max_size=3))
def test_a_plain_path_finds_what_jmespath_finds(value: Any, keys: list[str]) -> None:
    expression = ".".join(keys)

    assert compile_path(expression, "x").find(value) == jmespath.search(expression, value)


@pytest.mark.parametrize(
    ("expression", "reads"),
    [
        ("a.b", {"a.b"}),
        ("a[0].b", {"a.[0].b"}),
        ("a[?b=='x'].c | [0]", {"a.[].b", "a.[?].c"}),
        ("a[].b | [0]", {"a.[?].b"}),
        ("join(' ', a[].b)", {"a.[].b"}),
        ("a || b.c", {"a", "b.c"}),
        ("a.*.b", {"a.*.b"}),
        ("[a, b][0]", {"a", "b"}),
    ],
)
def test_what_an_expression_reads_is_known_without_running_it(
    expression: str, reads: set[str]
) -> None:
    assert {".".join(keys) for keys in compile_path(expression, "x").reads} == reads


def test_what_stands_beside_a_picked_element_is_kept() -> None:
    parts = [{"role": "agent", "name": "Ann"}, {"role": "agent", "name": "Bo"}, {"role": "x"}]
    record = {**RECORD, "parts": parts, "camps": ["C1", "C2"]}
    record["all"] = [{"a": 1}, {"a": 2, "b": "3"}]
    values = "agent_name: \"parts[?role=='agent'].name | [0]\", campaign_id: 'camps[0]'"
    values += ", agent_id: 'all[-1].a', agent_site: \"join(' ', all[].b)\""

    made = draft(f"conversation: {{{values}}}\n{TURNS}", record)

    assert (made.fields["agent_name"], made.fields["campaign_id"]) == ("Ann", "C1")
    assert made.rest == {"fields": {"parts": parts[:2], "camps": ["C2"], "all": [{"a": 1}]}}


@pytest.mark.parametrize(
    ("from_", "turn"),
    [
        ("\"said[?who!='e']\"", ""),
        ("[{each: outer, as: o}, {each: \"said[?who!='e']\", as: t}]", "t."),
    ],
)
def test_what_a_filter_of_the_turns_skips_is_kept(from_: str, turn: str) -> None:
    event = {"who": "e", "text": "on hold", "reason": "r"}
    said = [RECORD["said"][0], event, RECORD["said"][1]]
    turns = f"turns: {{from: {from_}, speaker: {{path: {turn}who, map: {{a: AGENT, c: CUSTOMER}}}}"

    made = draft(
        f"{turns}, start: {turn}sec, text: {turn}text}}",
        {"said": said, "outer": [{"said": said}]} if turn else {"said": said},
    )

    assert [each["text"] for each in made.turns] == ["hi", "ho"]
    assert made.rest["not_turns"] == [event]


@given(JSON, st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=2), max_size=3))
def test_the_rest_has_every_leaf_that_isnt_read(value: Any, paths: list[list[str]]) -> None:
    def leaves(part: Any, at: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
        if isinstance(part, dict):
            return {leaf for key, each in part.items() for leaf in leaves(each, (*at, key))}
        return set() if part in (None, "", []) or isinstance(part, list) else {at}

    rest = Tree.of(map(tuple, paths)).rest(value)

    unread = {leaf for leaf in leaves(value) if not any(leaf[: len(p)] == tuple(p) for p in paths)}
    assert leaves(rest) == unread


def test_numbers_that_a_float_would_round_are_kept_as_text() -> None:
    content = (
        b'\xef\xbb\xbf{"id": 18446744073709551616, "f": 0.12345678901234567890,'
        b' "n": 1.5e3, "u": "1e5"}'
    )

    assert load_json(content) == {
        "id": "18446744073709551616",
        "f": "0.12345678901234567890",
        "n": 1500.0,
        "u": "1e5",
    }


def test_captions_are_read_by_voice_and_what_is_no_cue_is_named() -> None:
    vtt = (
        "WEBVTT\n\nNOTE x\n\n1\n00:01.000 --> 00:02.000 align:start\n"
        "<v Ann>Hi &amp; <i>bye</i></v> <v Bo>Oh</v>\n\nstray\n"
    )

    record, unread = records_of(How("vtt"), {"x": vtt.encode("utf-8-sig")})

    assert isinstance(record, Record)
    assert [(c["voice"], c["text"], c["start"]) for c in record.value["cues"]] == [
        ("Ann", "Hi & bye", "00:01.000"),
        ("Bo", "Oh", "00:01.000"),
    ]
    assert unread == Unread("block 4", "the block is no cue", "see its time line")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a,a\n1,2\n", "two columns have one name"),
        (b"a,b\n\xff,2\n", "the file isn't utf-8 at byte 4"),
        (b'a,b\n"1,2\n', "the file is no CSV"),
    ],
)
def test_a_csv_that_is_none_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(InputError, match=told):
        records_of(How("csv"), {"x": content})


def test_a_key_that_may_be_a_name_stays_out_of_a_proposal() -> None:
    calls = [{"who": "a", "text": "words said at length"}]

    lines = "\n".join(proposal({"calls_of": {"+61 400 111 222 Jane Doe": calls}}))

    assert ("Jane" in lines, "<key>" in lines) == (False, True)


def test_a_folder_is_no_file_to_explain(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder, and the mapping reads json"):
        explanation(tmp_path, Engine(load_bundled("twilio")), None)


def test_the_first_column_of_a_context_is_the_key_though_its_first_cell_is_empty(
    tmp_path: Path,
) -> None:
    (tmp_path / "c.csv").write_text("id,queue\n,q1\n")

    with pytest.raises(InputError, match="line 2 has no id"):
        read_context(tmp_path / "c.csv", None)


def test_a_file_of_no_format_gets_lines_of_a_mapping_that_reads_it() -> None:
    record = {
        "callId": "5b1f3c9a-0d27-4c54-9e11-4a7c2d90aa01",
        "segments": [
            {
                "party": "x",
                "beginMs": i * 6000,
                "untilMs": i * 6000 + 900,
                "utterance": "words said",
            }
            for i in range(5)
        ],
    }

    lines = proposal(record)
    fitted = "\n".join(lines).replace("THEIR_AGENT", "x")

    engine = Engine(parse_mapping(fitted, "m.yaml"))
    made = engine.draft(record, Scope(FileName("x.json").parts(None), {}))
    assert (made.source_id, len(made.turns)) == (record["callId"], 5)
    assert (made.turns[4]["start_offset_sec"], made.turns[4]["end_offset_sec"]) == (24.0, 24.9)
    assert "said so" not in cure_for(record, "json")
    assert cure_for({"a": 1}, "json").startswith("it holds no list of utterances")


def test_a_proposal_goes_by_values_where_names_say_nothing_and_names_our_fields() -> None:
    record = {
        "callId": "C-1",
        "begin": "2026-01-05T09:00:00",
        "endTime": "2026-01-05T09:01:00Z",
        "LineOfBusiness": "POWER",
        "queue": None,
        "zeilen": [
            {"von": "xy"[i % 2], "sek": i * 4, "inhalt": f"Guten Tag, Herr Nummer {i}."}
            for i in range(4)
        ],
    }

    lines = proposal(record)

    assert lines == [
        "mapping: 1",
        "conversation:",
        "  source_id: callId",
        "  started_at: {path: begin, time: iso, zone: AREA/CITY}",
        "  ended_at: {path: endTime, time: iso}",
        "  business_line: LineOfBusiness",
        "turns:",
        "  from: zeilen",
        "  speaker: {path: von, map: {THEIR_AGENT: AGENT, THEIR_CUSTOMER: CUSTOMER}, "
        "otherwise: AUTOMATED_AGENT}",
        "  start: {path: sek, unit: s}",
        "  text: inhalt",
    ]


def test_the_bare_name_of_a_zone_is_the_zone_and_any_other_a_path() -> None:
    def started(zone: str) -> str:
        mapping = (
            f"mapping: 1\nconversation: {{source_id: id, started_at: {{path: at, zone: {zone}}}, "
            f"time_zone: {zone}}}\nturns: {{from: said, speaker: {{path: who, "
            "map: {a: AGENT}}, start: sec, text: text}"
        )
        said = [{"who": "a", "sec": 0, "text": "Hello."}]
        record = {"id": "c1", "at": "2026-01-05T09:00:00", "city": "Asia/Tokyo", "said": said}
        draft = Engine(parse_mapping(mapping, "m.yaml")).draft(
            record, Scope(FileName("x.json").parts(None), {})
        )
        assert draft.started_at is not None
        return draft.started_at.isoformat()

    assert [started(zone) for zone in ("Europe/Berlin", "UTC", "city")] == [
        "2026-01-05T09:00:00+01:00",
        "2026-01-05T09:00:00+00:00",
        "2026-01-05T09:00:00+09:00",
    ]


@pytest.mark.parametrize("name", ["twilio", "webvtt", "csv-calls"])
def test_an_explanation_names_the_format_its_fields_and_what_is_left(name: str) -> None:
    told = explanation(sample(name), None, None)

    fields = {each.field: each.found for each in told.fields}
    assert (told.mapping, told.records, told.proposal) == (name, 1, ())
    assert (fields["turns[].text"], fields["turns[].speaker"]) == ("3 of 3", "3 of 3")
    assert "payout" not in repr(told)


def test_an_explanation_without_a_format_proposes_one(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(orjson.dumps(RECORD))

    told = explanation(file, None, None)

    assert (told.mapping, told.faults) == ("", ("no format fits",))
    assert "  from: said" in told.proposal
