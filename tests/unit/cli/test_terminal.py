"""Text for a terminal is safe and aligned."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import unicodedata

import pytest
from click import unstyle
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.cli._console import age, aligned, counted, safe, width_of, wrapped
from ingest.cli._context import SystemClock
from ingest.cli._output import Format, print_rows
from ingest.cli.bq import parameter
from ingest.cli.status import status_text
from ingest.cli.transcript import marked, text_of
from ingest.errors import InputError
from ingest.flows.lease import RunRecord, RunState
from ingest.flows.runs import Run
from ingest.flows.status import (
    DateFunnel,
    OpenFailure,
    PipelineStatus,
    QuotaUse,
    RunSummary,
    StatusCount,
)
from ingest.flows.transcript import Match, SpokenTurn, Talk
from ingest.settings import Settings

T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@given(st.text())
def test_safe_text_holds_no_control_or_format_character(text: str) -> None:
    held = {unicodedata.category(character) for character in safe(text)}

    assert held.isdisjoint({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


@given(st.text(alphabet=st.characters(codec="ascii", min_codepoint=32, max_codepoint=126)))
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


def test_an_escape_sequence_does_not_reach_the_terminal() -> None:
    assert safe("a\x1b]0;owned\x07b\u202ec") == "a?]0;owned?b?c"


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    table = aligned(("NAME", "COUNT"), [("a", "1"), ("longer", "1000")], " r")

    assert table == "NAME    COUNT\na           1\nlonger   1000"


def test_wide_characters_count_twice() -> None:
    assert aligned(("A", "B"), [("語", "x"), ("ab", "y")]) == "A   B\n語  x\nab  y"


@settings(deadline=None)
@given(st.text(), st.integers(10, 40))
def test_wrapped_text_keeps_its_words_and_fits_its_width(text: str, width: int) -> None:
    lines = wrapped(text, width, "  ")

    assert all(width_of(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_lines_of_a_paragraph_hang_behind_the_first() -> None:
    assert wrapped("one two three verylongword", 9, "  ") == [
        "one two",
        "  three",
        "  verylon",
        "  gword",
    ]


@pytest.mark.parametrize("columns", [60, 80])
def test_a_talk_is_aligned_and_fits_its_width(columns: int) -> None:
    turns = (
        SpokenTurn(0, "AGENT", 61.0, "語" * 90, None, (Match("m" * 70, "p", 0, 2),)),
        SpokenTurn(1, "CUSTOMER", 75.0, "word " * 40, -0.5, ()),
    )
    talk = Talk("c" * 36, T0, 90.0, "CHAT", {}, (), (), "a/1", 0.25, turns)

    lines = [unstyle(line) for line in text_of(talk, columns).split("\n")]

    assert max(map(width_of, lines)) <= columns
    begins = [line for line in lines if re.match(r" +\d+:\d\d ", line)]
    assert [line[:26].rstrip() for line in begins] == [
        "   1:01  AGENT",
        "   1:15  CUSTOMER  -0.50",
    ]
    assert {line[:26] for line in lines[lines.index("") + 1 :] if line not in begins} == {" " * 26}


def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    turn = SpokenTurn(0, "AGENT", 1.0, "hello there", -0.5, (Match("m", "p", 0, 5),))

    assert "\x1b" not in text_of(Talk("c", T0, 1.0, None, {}, (), (), "a", None, (turn,)), 80)


def test_rows_wider_than_the_terminal_stand_one_under_another(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _be_a_terminal(monkeypatch, 16)

    print_rows(["a", "long_name"], [{"a": 1, "long_name": "x" * 15}], Format.TABLE)

    assert capsys.readouterr().out == f"ROW 1\na          1\nlong_name  {'x' * 15}\n"


@pytest.mark.parametrize(
    ("format_", "printed"), [(Format.TABLE, ""), (Format.CSV, ""), (Format.JSON, "[]\n")]
)
def test_what_has_no_columns_is_no_row(
    capsys: pytest.CaptureFixture[str], format_: Format, printed: str
) -> None:
    print_rows([], [], format_)

    assert capsys.readouterr().out == printed


def _be_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))


def test_a_status_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    _be_a_terminal(monkeypatch, 80)
    date = dt.date(2026, 1, 1)
    run = RunSummary("20260101T000000Z-0123abcd", 1234, 567, T0, T0 + dt.timedelta(hours=3))
    found = PipelineStatus(
        taken_at=T0 + dt.timedelta(days=400),
        dates=(DateFunnel(date, 99999, 99999, 99999, 99999, 999, 9999, 9, 99999, T0, T0),),
        backlog=(StatusCount(date, "waiting_for_transcript", None, None, 99999, T0, T0),),
        failures=(OpenFailure("analyse", "RESOURCE_EXHAUSTED" * 4, 99999, T0, T0),),
        runs=(run,),
        quotas=(QuotaUse("submit", 99999, 99999), QuotaUse("analyse", 99999, 99999)),
        forgotten=3,
        forgotten_in_marts=2,
    )

    settings = Settings(project_id="project", bucket="b", location="australia-southeast1")

    lines = status_text(found, settings).split("\n")

    assert [line for line in lines if len(line) > 80] == []


def test_the_time_of_a_run_goes_on_where_the_machines_is_set_back() -> None:
    seconds = [9, 9, 5, 6, 20]
    machine = iter(T0 + dt.timedelta(seconds=second) for second in seconds)
    clock = SystemClock(lambda: next(machine))

    times = [clock.now() for _ in seconds]

    assert all(before < after for before, after in itertools.pairwise(times))
    assert (times[0], times[-1]) == (T0 + dt.timedelta(seconds=9), T0 + dt.timedelta(seconds=20))


def test_a_run_whose_clock_was_set_back_took_no_negative_time() -> None:
    assert Run("run-1", T0, T0 - dt.timedelta(hours=1), 1, 0, ()).took_sec == 0.0


def test_a_status_shows_every_run_that_goes_on_and_the_newest_that_broke_off() -> None:
    states = [RunState.DIED, RunState.RUNNING, *[RunState.INTERRUPTED] * 4]
    runs = [RunRecord(f"run-{n}", "push", "h", 7, T0, state) for n, state in enumerate(states)]
    found = PipelineStatus(T0, (), (), (), (), (), 0, None, in_bucket=tuple(runs))

    lines = status_text(found, Settings(project_id="p", bucket="b", location="l")).split("\n")

    tail = "on h, process 7, since 2026-01-01 00:00:00Z"
    begun = next(place for place, line in enumerate(lines) if line.startswith("now "))
    assert " ".join(" ".join(lines[begun : begun + 5]).split()) == " ".join(
        (
            f"now running: push run-1 {tail}",
            *(f"interrupted: push run-{number} {tail}" for number in (3, 4, 5)),
            "2 older runs broke off: see `ingest runs`",
        )
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172800, "2 d"),
    ],
)
def test_an_age_is_told_in_one_unit(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_a_count_says_its_noun() -> None:
    assert (counted(1, "run"), counted(1000, "match", "matches")) == ("1 run", "1,000 matches")


def test_overlapping_matches_are_marked_as_one() -> None:
    matches = [Match("m", "b c", 2, 5), Match("n", "c d", 4, 7), Match("o", None, None, None)]

    assert marked("a b c d e", matches) == "a «b c d» e"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", ("a", "1")),
        ("a:INT64=1", ("a", 1)),
        ("b:BOOL=true", ("b", True)),
        ("c==", ("c", "=")),
    ],
)
def test_a_parameter_is_read_with_its_type(text: str, expected: tuple[str, object]) -> None:
    assert parameter(text) == expected


@pytest.mark.parametrize("text", ["a", "=1", "a b=1", "a:INT64=x", "a:NOPE=1", "a:BOOL=perhaps"])
def test_a_bad_parameter_is_a_usage_error(text: str) -> None:
    with pytest.raises(InputError):
        parameter(text)


def test_csv_quotes_what_must_be_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"a": 'x,"y"', "b": None}, {"a": {"k": [1]}, "b": True}]

    print_rows(["a", "b"], rows, Format.CSV)

    assert capsys.readouterr().out == 'a,b\n"x,""y""",\n"{""k"": [1]}",true\n'
